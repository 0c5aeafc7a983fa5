//! Renaming and removing one's own contacts.

use super::entity::{self, Model};
use super::topic;
use crate::error::{At, Error, Result};
use crate::ids::{ContactId, UserId};
use crate::people::person_name;
use crate::platform::{Platform, text};

/// Gives a contact another name.
///
/// # Errors
/// BAD_USER_INPUT on `name`; NOT_FOUND when it is not the owner's.
pub async fn rename(
    platform: &Platform,
    owner: UserId,
    id: Option<ContactId>,
    name: &str,
) -> Result<Model> {
    let name = person_name(name).at("name")?;
    let unknown = || Error::not_found("contact");
    let id = id.ok_or_else(unknown)?;
    let tx = platform.database.begin().await?;
    if !entity::set_name(&tx, owner, id, &name, &text::sort_key(&name)).await? {
        return Err(unknown());
    }
    let contact = entity::by_id(&tx, owner, id).await?.ok_or_else(unknown)?;
    tx.commit().await?;
    Ok(contact)
}

/// Removes a contact.
///
/// # Errors
/// NOT_FOUND when it is not the owner's.
pub async fn remove(
    platform: &Platform,
    owner: UserId,
    id: Option<ContactId>,
) -> Result<ContactId> {
    let unknown = || Error::not_found("contact");
    let id = id.ok_or_else(unknown)?;
    let tx = platform.database.begin().await?;
    if !entity::delete(&tx, owner, id).await? {
        return Err(unknown());
    }
    tx.commit().await?;
    platform.events.publish(&topic(owner));
    Ok(id)
}
