//! `switchboard admin grant|revoke`

use clap::Subcommand;

use super::{Complaint, prepared};
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

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run(what: Admin) -> Result<(), Complaint> {
    let (identifier, role, now_is) = match what {
        Admin::Grant { identifier } => (identifier, Role::Admin, "is an administrator now"),
        Admin::Revoke { identifier } => (identifier, Role::Player, "is no administrator now"),
    };
    let (config, platform) = prepared().await?;
    let region = config.default_region.map(Region::from);
    match set_role(&platform, &Identifier::parse(&identifier, region.as_ref()), role).await {
        Ok(person) => println!("{} ({}) {now_is}.", person.display_name(), person.id),
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(Complaint(vec![format!("nobody has the identifier {identifier}")]));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
