//! `switchboard admin grant|revoke`: changes the role of a user.

use clap::Subcommand;

use super::cli_error::CliError;
use super::startup::prepare_platform;
use crate::accounts::set_role;
use crate::error::ErrorCode;
use crate::people::{Identifier, Role};
use crate::platform::phone::Region;

/// Gives or takes the role of administrator. Running instances see it within two seconds.
#[derive(Subcommand)]
pub enum Admin {
    /// Makes somebody an administrator.
    Grant {
        /// Their nickname, e-mail address or phone number.
        identifier: String,
    },
    /// Makes them a player again.
    Revoke {
        /// Their nickname, e-mail address or phone number.
        identifier: String,
    },
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run(command: Admin) -> Result<(), CliError> {
    let (identifier, role, new_state) = match command {
        Admin::Grant { identifier } => (identifier, Role::Admin, "is an administrator now"),
        Admin::Revoke { identifier } => (identifier, Role::Player, "is no administrator now"),
    };
    let (config, platform) = prepare_platform().await?;
    let region = config.default_region.map(Region::from);
    match set_role(&platform, &Identifier::classify(&identifier, region.as_ref()), role).await {
        Ok(person) => println!("{} ({}) {new_state}.", person.display_name(), person.id),
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(CliError(vec![format!("nobody has the identifier {identifier}")]));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
