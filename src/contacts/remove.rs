//! Use case: remove a contact.

use super::{contacts_topic, entity};
use crate::error::{Error, Result};
use crate::ids::{ContactId, UserId};
use crate::platform::Platform;

/// Removes a contact.
///
/// # Errors
/// NOT_FOUND when the contact is not the owner's.
pub async fn remove(
    platform: &Platform,
    owner: UserId,
    id: Option<ContactId>,
) -> Result<ContactId> {
    let not_found = || Error::not_found("contact");
    let id = id.ok_or_else(not_found)?;
    let tx = platform.begin().await?;
    if !entity::delete(&tx, owner, id).await? {
        return Err(not_found());
    }
    tx.publish(contacts_topic(owner));
    tx.commit().await?;
    Ok(id)
}
