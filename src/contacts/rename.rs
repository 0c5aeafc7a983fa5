//! Use case: rename a contact.

use super::entity::{self, Model};
use crate::error::{Error, ForField, Result};
use crate::ids::{ContactId, UserId};
use crate::people::parse_person_name;
use crate::platform::{Platform, text};

/// Renames a contact.
///
/// # Errors
/// BAD_USER_INPUT on `name`; NOT_FOUND when the contact is not the owner's.
pub async fn rename(
    platform: &Platform,
    owner: UserId,
    id: Option<ContactId>,
    name: &str,
) -> Result<Model> {
    let name = parse_person_name(name).for_field("name")?;
    let not_found = || Error::not_found("contact");
    let id = id.ok_or_else(not_found)?;
    let tx = platform.begin().await?;
    if !entity::set_name(&tx, owner, id, &name, &text::sort_key(&name)).await? {
        return Err(not_found());
    }
    let contact = entity::find_by_id(&tx, owner, id).await?.ok_or_else(not_found)?;
    tx.commit().await?;
    Ok(contact)
}
