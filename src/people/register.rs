//! A new person enters, once: what identifies them is unique in the database.

use sea_orm::DbErr;

use super::entity::{self, Model, Role};
use super::identity::{Email, Nickname};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::{Work, is_unique_violation};
use crate::platform::phone::PhoneNumber;

/// What a new person says of themselves. At least one of nickname, e-mail and phone is there.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct NewPerson {
    pub nickname: Option<Nickname>,
    pub name: Option<String>,
    pub email: Option<Email>,
    pub phone: Option<PhoneNumber>,
}

impl NewPerson {
    /// Refuses what somebody else has already, every field of it. The answer may be old by the time of
    /// [`register`], which has the last word.
    ///
    /// # Errors
    /// IDENTIFIER_TAKEN for each field.
    pub async fn refuse_taken(&self, db: &impl sea_orm::ConnectionTrait) -> Result<()> {
        let (nickname, email) = (self.nickname.as_ref(), self.email.as_ref());
        refuse_taken(db, nickname, email, self.phone.as_ref(), None).await
    }
}

/// Refuses what somebody else has already than the person of an id.
pub(super) async fn refuse_taken(
    db: &impl sea_orm::ConnectionTrait,
    nickname: Option<&Nickname>,
    email: Option<&Email>,
    phone: Option<&PhoneNumber>,
    but: Option<UserId>,
) -> Result<()> {
    let nickname = nickname.map(|nickname| nickname.key.as_str());
    let email = email.map(|email| email.key.as_str());
    let phone = phone.map(PhoneNumber::key);
    if nickname.is_none() && email.is_none() && phone.is_none() {
        return Ok(());
    }
    let rows = entity::taken(db, nickname, email, phone.as_ref(), but).await?;
    let mut failures = Vec::new();
    if nickname.is_some() && rows.iter().any(|(key, ..)| key.as_deref() == nickname) {
        failures.push(taken("nickname"));
    }
    if email.is_some() && rows.iter().any(|(_, key, _)| key.as_deref() == email) {
        failures.push(taken("email"));
    }
    if phone.is_some() && rows.iter().any(|(.., key)| *key == phone) {
        failures.push(taken("phone"));
    }
    Error::all(failures)
}

/// Writes the new person's row.
///
/// # Errors
/// IDENTIFIER_TAKEN with the field.
pub async fn register(tx: &Work, platform: &Platform, person: NewPerson) -> Result<Model> {
    let now = platform.now();
    let (nickname, nickname_key) =
        person.nickname.map(|nickname| (nickname.shown, nickname.key)).unzip();
    let (email, email_key) = person.email.map(|email| (email.shown, email.key)).unzip();
    let row = Model {
        id: platform.new_id(),
        nickname,
        nickname_key,
        name: person.name,
        email,
        email_key,
        phone_key: person.phone.as_ref().map(PhoneNumber::key),
        phone: person.phone,
        phone_verified_at: None,
        discoverable: true,
        two_factor_enabled: false,
        two_factor_waived: false,
        role: Role::Player,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    entity::insert(tx, row).await.map_err(which_is_taken)
}

/// Which field of somebody's is another's already, when that is what the database refused.
pub(super) fn which_is_taken(error: DbErr) -> Error {
    let columns = [("nickname", "nickname_key"), ("email", "email_key"), ("phone", "phone_key")];
    match columns.iter().find(|(_, column)| is_unique_violation(&error, "users", &[column])) {
        Some((field, _)) => taken(field).into(),
        None => error.into(),
    }
}

fn taken(field: &'static str) -> Failure {
    let message = match field {
        "nickname" => "This nickname is taken.",
        "email" => "There is an account with this e-mail address.",
        _ => "There is an account with this phone number.",
    };
    Failure::new(ErrorCode::IdentifierTaken, message).at(field)
}
