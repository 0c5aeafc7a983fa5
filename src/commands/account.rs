//! `switchboard account recover`

use clap::Subcommand;

use super::{Complaint, assembled};
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

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run(what: Account) -> Result<(), Complaint> {
    let Account::Recover { identifier } = what;
    let app = assembled().await?;
    let region = app.config.default_region.map(Region::from);
    let parsed = Identifier::parse(&identifier, region.as_ref());
    let recovery = match recover(&app.accounts, &app.platform, &parsed).await {
        Ok(recovery) => recovery,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(Complaint(vec![format!("nobody has the identifier {identifier}")]));
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
