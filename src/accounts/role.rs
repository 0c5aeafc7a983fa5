//! Giving and taking the role of administrator, by command line.

use super::endings::{self, Ending};
use super::entity::audit::{self, Deed};
use crate::error::{Error, Result};
use crate::people::{self, Identifier, Person, Role};
use crate::platform::Platform;

/// Gives somebody a role. Running instances see it within two seconds.
///
/// # Errors
/// NOT_FOUND when nobody has the identifier.
pub async fn set_role(platform: &Platform, identifier: &Identifier, role: Role) -> Result<Person> {
    let tx = platform.database.begin().await?;
    let person =
        people::by_identifier(&tx, identifier).await?.ok_or_else(|| Error::not_found("user"))?;
    people::set_role(&tx, person.id, role, platform.now()).await?;
    endings::record(&tx, platform, Ending::Role(person.id)).await?;
    let deed = if role == Role::Admin { Deed::MadeAdmin } else { Deed::MadePlayer };
    let done_at = platform.now();
    let row = audit::Model { id: platform.new_id(), user_id: person.id, deed, done_at };
    audit::insert(&tx, row).await?;
    tx.commit().await?;
    Ok(person)
}
