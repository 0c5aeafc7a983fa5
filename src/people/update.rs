//! Updates of a person: the profile, a first phone number and its verification, and erasure. A change that others see
//! is published with its commit. A phone number never changes; the database enforces it too.

use super::entity::{self, Model as Person};
use super::identifiers::{Email, Nickname};
use super::measures::DELETED_USERS;
use super::profile_topics::publish_profile_change;
use super::register::{ensure_available, map_unique_violation};
use crate::error::{ErrorCode, Result, UserError};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;
use crate::platform::statistics::{self, Delta};

/// Changes to a person. A field that is neither cleared nor set keeps its value.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct PersonChanges {
    pub clear_nickname: bool,
    pub clear_name: bool,
    pub clear_email: bool,
    pub nickname: Option<Nickname>,
    pub name: Option<String>,
    pub email: Option<Email>,
    pub discoverable: Option<bool>,
}

/// Applies changes to a person. The account must be locked.
///
/// # Errors
/// CONFLICT at `clear` when no identifier would be left; IDENTIFIER_TAKEN at the field.
pub async fn update(
    tx: &Work,
    platform: &Platform,
    id: UserId,
    changes: PersonChanges,
) -> Result<()> {
    let mut person = entity::get(tx, id).await?;
    publish_profile_change(tx, platform, &person);
    let (nickname, email) = (changes.nickname.as_ref(), changes.email.as_ref());
    ensure_available(tx, nickname, email, None, Some(id)).await?;
    if changes.clear_nickname {
        (person.nickname, person.nickname_key) = (None, None);
    }
    if changes.clear_email {
        (person.email, person.email_key) = (None, None);
    }
    if changes.clear_name {
        person.name = None;
    }
    if let Some(nickname) = changes.nickname {
        (person.nickname, person.nickname_key) = (Some(nickname.display), Some(nickname.key));
    }
    if let Some(email) = changes.email {
        (person.email, person.email_key) = (Some(email.display), Some(email.key));
    }
    person.name = changes.name.or(person.name);
    person.discoverable = changes.discoverable.unwrap_or(person.discoverable);
    if person.nickname.is_none() && person.email.is_none() && person.phone.is_none() {
        let message = "Nothing would be left to log in by.";
        return Err(UserError::new(ErrorCode::Conflict, message).for_field("clear").into());
    }
    entity::set_profile(tx, person, platform.now()).await.map_err(map_unique_violation)
}

/// Sets the phone of a person who has none. False if the person has one.
///
/// # Errors
/// IDENTIFIER_TAKEN
pub async fn set_phone(
    tx: &Work,
    platform: &Platform,
    id: UserId,
    phone: &PhoneNumber,
) -> Result<bool> {
    entity::set_phone(tx, id, phone, platform.now()).await.map_err(map_unique_violation)
}

/// Marks a person's phone as verified, and no longer as lost.
pub async fn mark_phone_verified(
    tx: &Work,
    platform: &Platform,
    person: &mut Person,
    now: Timestamp,
) -> Result<()> {
    if entity::mark_phone_verified(tx, person, now).await? {
        publish_profile_change(tx, platform, person);
    }
    Ok(())
}

/// Erases a person's data and marks the row as deleted. `person` is the row before.
pub async fn erase(tx: &Work, platform: &Platform, person: &Person, now: Timestamp) -> Result<()> {
    if entity::erase(tx, person.id, now).await? {
        statistics::record(tx, platform, [Delta::at(now, DELETED_USERS, "", 1)]).await?;
    }
    publish_profile_change(tx, platform, person);
    Ok(())
}
