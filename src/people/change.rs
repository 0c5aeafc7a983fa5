//! What changes about a person. Never the phone, once there is one: the database refuses that too.

use super::entity;
use super::identity::{Email, Nickname};
use super::register::{refuse_taken, which_is_taken};
use crate::error::{ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// What is changed. What is neither cleared nor given stays as it is.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Changes {
    pub clear_nickname: bool,
    pub clear_name: bool,
    pub clear_email: bool,
    pub nickname: Option<Nickname>,
    pub name: Option<String>,
    pub email: Option<Email>,
    pub discoverable: Option<bool>,
}

/// Writes the changes. Lock the account before.
///
/// # Errors
/// CONFLICT at `clear` when no identifier would be left; IDENTIFIER_TAKEN with the field.
pub async fn update(tx: &Work, platform: &Platform, id: UserId, changes: Changes) -> Result<()> {
    let mut person = entity::get(tx, id).await?;
    let (nickname, email) = (changes.nickname.as_ref(), changes.email.as_ref());
    refuse_taken(tx, nickname, email, None, Some(id)).await?;
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
        (person.nickname, person.nickname_key) = (Some(nickname.shown), Some(nickname.key));
    }
    if let Some(email) = changes.email {
        (person.email, person.email_key) = (Some(email.shown), Some(email.key));
    }
    person.name = changes.name.or(person.name);
    person.discoverable = changes.discoverable.unwrap_or(person.discoverable);
    if person.nickname.is_none() && person.email.is_none() && person.phone.is_none() {
        let message = "Nothing would be left to log in by.";
        return Err(Failure::new(ErrorCode::Conflict, message).at("clear").into());
    }
    entity::set_profile(tx, person, platform.now()).await.map_err(which_is_taken)
}

/// Gives a phone to somebody who has none. Answers whether that was so.
///
/// # Errors
/// IDENTIFIER_TAKEN when it is somebody's.
pub async fn set_phone(
    tx: &Work,
    platform: &Platform,
    id: UserId,
    phone: &PhoneNumber,
) -> Result<bool> {
    entity::set_phone(tx, id, phone, platform.now()).await.map_err(which_is_taken)
}
