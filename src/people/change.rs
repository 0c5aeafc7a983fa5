//! What changes about a person. Never the phone, once there is one: the database refuses that too.

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ActiveValue, ConnectionTrait, DatabaseTransaction, Value};

use super::entity::{self, ActiveModel, Model};
use super::identity::{Email, Nickname};
use super::register::which_is_taken;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::platform::Platform;
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

/// The person of an id, who is there.
///
/// # Errors
/// NOT_FOUND for who is not.
pub async fn living(db: &impl ConnectionTrait, id: UserId) -> Result<Model> {
    entity::by_id(db, id).await?.ok_or_else(|| Error::not_found("user"))
}

/// Writes the changes. Lock the account before.
///
/// # Errors
/// CONFLICT at `clear` when no identifier would be left; IDENTIFIER_TAKEN with the field.
pub async fn update(
    tx: &DatabaseTransaction,
    platform: &Platform,
    id: UserId,
    changes: Changes,
) -> Result<()> {
    let person = living(tx, id).await?;
    let keeps_nickname = !changes.clear_nickname && person.nickname.is_some();
    let keeps_email = !changes.clear_email && person.email.is_some();
    let is_left = keeps_nickname
        || keeps_email
        || person.phone.is_some()
        || changes.nickname.is_some()
        || changes.email.is_some();
    if !is_left {
        let message = "Nothing would be left to log in by.";
        return Err(Failure::new(ErrorCode::Conflict, message).at("clear").into());
    }
    let (nickname, nickname_key) = changes.nickname.map(|it| (it.shown, it.key)).unzip();
    let (email, email_key) = changes.email.map(|it| (it.shown, it.key)).unzip();
    let change = ActiveModel {
        nickname: column(changes.clear_nickname, nickname),
        nickname_key: column(changes.clear_nickname, nickname_key),
        name: column(changes.clear_name, changes.name),
        email: column(changes.clear_email, email),
        email_key: column(changes.clear_email, email_key),
        discoverable: changes.discoverable.map_or(NotSet, Set),
        ..Default::default()
    };
    entity::set_some(tx, id, change, platform.now()).await.map_err(which_is_taken)?;
    Ok(())
}

fn column<T>(is_cleared: bool, value: Option<T>) -> ActiveValue<Option<T>>
where
    Option<T>: Into<Value>,
{
    match value {
        None if !is_cleared => NotSet,
        value => Set(value),
    }
}

/// Gives a phone to somebody who has none. Answers whether that was so.
///
/// # Errors
/// IDENTIFIER_TAKEN when it is somebody's.
pub async fn set_phone(
    tx: &DatabaseTransaction,
    platform: &Platform,
    id: UserId,
    phone: &PhoneNumber,
) -> Result<bool> {
    entity::set_phone(tx, id, phone, platform.now()).await.map_err(which_is_taken)
}
