//! Registration of a new person. The database keeps identifiers unique.

use sea_orm::DbErr;

use super::entity::{self, Model, Role};
use super::identifiers::{Email, Nickname};
use super::measures::NEW_USERS;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::{Work, is_unique_violation, next_number};
use crate::platform::phone::PhoneNumber;
use crate::platform::statistics::{self, Delta};

/// The data of a new person. At least one of nickname, e-mail and phone is set.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names explain them")]
pub struct NewPerson {
    pub nickname: Option<Nickname>,
    pub name: Option<String>,
    pub email: Option<Email>,
    pub phone: Option<PhoneNumber>,
}

impl NewPerson {
    /// Checks that no identifier is taken. An early check: one may be taken before [`register`].
    ///
    /// # Errors
    /// IDENTIFIER_TAKEN at each taken field.
    pub async fn ensure_available(&self, db: &impl sea_orm::ConnectionTrait) -> Result<()> {
        let (nickname, email) = (self.nickname.as_ref(), self.email.as_ref());
        ensure_available(db, nickname, email, self.phone.as_ref(), None).await
    }
}

/// Checks that none of these identifiers is taken, except by one person.
pub(super) async fn ensure_available(
    db: &impl sea_orm::ConnectionTrait,
    nickname: Option<&Nickname>,
    email: Option<&Email>,
    phone: Option<&PhoneNumber>,
    except: Option<UserId>,
) -> Result<()> {
    let nickname = nickname.map(|nickname| nickname.key.as_str());
    let email = email.map(|email| email.key.as_str());
    let phone = phone.map(PhoneNumber::key);
    if nickname.is_none() && email.is_none() && phone.is_none() {
        return Ok(());
    }
    let taken_keys = entity::find_taken_keys(db, nickname, email, phone.as_ref(), except).await?;
    let mut errors = Vec::new();
    if nickname.is_some() && taken_keys.iter().any(|(key, ..)| key.as_deref() == nickname) {
        errors.push(identifier_taken("nickname"));
    }
    if email.is_some() && taken_keys.iter().any(|(_, key, _)| key.as_deref() == email) {
        errors.push(identifier_taken("email"));
    }
    if phone.is_some() && taken_keys.iter().any(|(.., key)| *key == phone) {
        errors.push(identifier_taken("phone"));
    }
    Error::ensure_none(errors)
}

/// Inserts a new person.
///
/// # Errors
/// IDENTIFIER_TAKEN at the field.
pub async fn register(tx: &Work, platform: &Platform, new_person: NewPerson) -> Result<Model> {
    let now = platform.now();
    let (nickname, nickname_key) =
        new_person.nickname.map(|nickname| (nickname.display, nickname.key)).unzip();
    let (email, email_key) = new_person.email.map(|email| (email.display, email.key)).unzip();
    let person = Model {
        id: platform.new_id(),
        number: next_number(tx, "users", "number").await?,
        nickname,
        nickname_key,
        name: new_person.name,
        email,
        email_key,
        phone_key: new_person.phone.as_ref().map(PhoneNumber::key),
        phone: new_person.phone,
        phone_verified_at: None,
        discoverable: true,
        two_factor_enabled: false,
        two_factor_waived: false,
        role: Role::Player,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let person = entity::insert(tx, person).await.map_err(map_unique_violation)?;
    statistics::record(tx, platform, [Delta::at(now, NEW_USERS, "", 1)]).await?;
    Ok(person)
}

/// Maps a unique violation to IDENTIFIER_TAKEN at its field.
pub(super) fn map_unique_violation(error: DbErr) -> Error {
    let columns = [("nickname", "nickname_key"), ("email", "email_key"), ("phone", "phone_key")];
    match columns.iter().find(|(_, column)| is_unique_violation(&error, "users", &[column])) {
        Some((field, _)) => identifier_taken(field).into(),
        None => error.into(),
    }
}

fn identifier_taken(field: &'static str) -> UserError {
    let message = match field {
        "nickname" => "This nickname is taken.",
        "email" => "There is an account with this e-mail address.",
        _ => "There is an account with this phone number.",
    };
    UserError::new(ErrorCode::IdentifierTaken, message).for_field(field)
}
