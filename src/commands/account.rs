//! `switchboard account recover`: lets a user who lost their phone set a new password.

use clap::Subcommand;

use super::cli_error::CliError;
use super::startup::start_app;
use crate::accounts::recover;
use crate::error::ErrorCode;
use crate::people::Identifier;
use crate::platform::phone::Region;

/// Looks after accounts.
#[derive(Subcommand)]
pub enum Account {
    /// For somebody whose phone is lost: ends their sessions and their password, turns two-factor login off, and prints what
    /// `resetPassword` takes once to set a new password. The phone number stays. Make sure who asks.
    Recover {
        /// Their nickname, e-mail address or phone number.
        identifier: String,
    },
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run(command: Account) -> Result<(), CliError> {
    let Account::Recover { identifier } = command;
    let app = start_app().await?;
    let region = app.config.default_region.map(Region::from);
    let parsed = Identifier::classify(&identifier, region.as_ref());
    let recovery = match recover(&app.accounts, &app.platform, &parsed).await {
        Ok(recovery) => recovery,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(CliError(vec![format!("nobody has the identifier {identifier}")]));
        }
        Err(error) => return Err(error.into()),
    };
    let (name, id) = (recovery.person.display_name(), recovery.person.id);
    println!("{name} ({id}) is signed out everywhere, has no password, and no two-factor login.");
    println!("A new password is set by resetPassword, once, until {}:", recovery.expires_at);
    println!("  challengeId: {}", recovery.challenge_id);
    println!("  code:        {}", recovery.code);
    Ok(())
}
