//! The users table. No finder returns a deleted user.

use std::collections::HashSet;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::LockType;
use sea_orm::{ActiveValue::Set, Condition, IntoActiveModel, QueryOrder, QuerySelect};

use super::account_topic::account_topic;
use super::identifiers::Identifier;
use crate::error::{Error, ErrorCode};
use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::{PhoneKey, PhoneNumber};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
#[expect(missing_docs, reason = "the columns are explained by the fields of User in the schema")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The number of the person among all, without large gaps: a place in bitmaps of people.
    pub number: i64,
    pub nickname: Option<String>,
    /// The folded nickname, for comparison.
    pub nickname_key: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    /// The folded e-mail address, for comparison.
    pub email_key: Option<String>,
    pub phone: Option<PhoneNumber>,
    /// The canonical phone number, for comparison.
    pub phone_key: Option<PhoneKey>,
    pub phone_verified_at: Option<Timestamp>,
    pub discoverable: bool,
    pub two_factor_enabled: bool,
    /// The phone is lost: logins need no code, even where two-factor login is required. Ends when a code is verified
    /// again.
    pub two_factor_waived: bool,
    pub role: Role,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

/// The role of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// A player.
    Player,
    /// An administrator of the installation.
    Admin,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether people who know the phone number may see the profile: it is verified, and the person is discoverable.
    pub fn is_visible(&self) -> bool {
        self.discoverable && self.phone.is_some() && self.phone_verified_at.is_some()
    }

    /// The name that others see: the nickname, else the name, else "Player".
    pub fn display_name(&self) -> &str {
        self.nickname.as_deref().or(self.name.as_deref()).unwrap_or("Player")
    }
}

fn existing_people() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.is_null())
}

/// Finds a person by id.
pub async fn find_by_id(db: &impl ConnectionTrait, id: UserId) -> Result<Option<Model>, DbErr> {
    existing_people().filter(Column::Id.eq(id)).one(db).await
}

/// Finds a person by id.
///
/// # Errors
/// NOT_FOUND
pub async fn get(db: &impl ConnectionTrait, id: UserId) -> crate::error::Result<Model> {
    find_by_id(db, id).await?.ok_or_else(|| Error::not_found("user"))
}

/// Finds the signed-in person.
///
/// # Errors
/// ACCOUNT_DELETED
pub async fn get_own(db: &impl ConnectionTrait, id: UserId) -> crate::error::Result<Model> {
    find_by_id(db, id).await?.ok_or_else(account_deleted)
}

/// Finds the signed-in person, and locks the row until the transaction ends. An account deletion waits for the lock,
/// and then also erases the data that this transaction wrote.
///
/// # Errors
/// ACCOUNT_DELETED
pub async fn lock_own(tx: &Work, id: UserId) -> crate::error::Result<Model> {
    lock(tx, id).await?.ok_or_else(account_deleted)
}

fn account_deleted() -> Error {
    Error::new(ErrorCode::AccountDeleted, "The account has been deleted.")
}

/// Finds a person by id, and locks the row until the transaction ends.
pub async fn lock(tx: &Work, id: UserId) -> Result<Option<Model>, DbErr> {
    // No effect on SQLite, which has one writer. NO KEY UPDATE, unlike UPDATE, lets other transactions insert rows with
    // a foreign key to this one: they may hold a lock that this transaction waits for.
    existing_people().filter(Column::Id.eq(id)).lock(LockType::NoKeyUpdate).one(tx).await
}

/// Finds the people with these ids.
pub async fn find_by_ids(db: &impl ConnectionTrait, ids: &[UserId]) -> Result<Vec<Model>, DbErr> {
    existing_people().filter(Column::Id.is_in(pad_to_pow2(ids))).all(db).await
}

/// Finds those of the ids that belong to a person who is not deleted.
pub async fn find_existing_ids(
    db: &impl ConnectionTrait,
    ids: &[UserId],
) -> Result<HashSet<UserId>, DbErr> {
    let query = existing_people()
        .filter(Column::Id.is_in(pad_to_pow2(ids)))
        .select_only()
        .column(Column::Id);
    Ok(query.into_tuple().all(db).await?.into_iter().collect())
}

/// Finds a person by identifier.
pub async fn find_by_identifier(
    db: &impl ConnectionTrait,
    identifier: &Identifier,
) -> Result<Option<Model>, DbErr> {
    let condition = match identifier {
        Identifier::Nickname(key) => Column::NicknameKey.eq(key),
        Identifier::Email(key) => Column::EmailKey.eq(key),
        Identifier::Phone(key) => Column::PhoneKey.eq(key.clone()),
    };
    existing_people().filter(condition).one(db).await
}

/// Finds the discoverable people who verified one of these phone numbers.
pub async fn find_discoverable(
    db: &impl ConnectionTrait,
    phones: &[PhoneKey],
) -> Result<Vec<Model>, DbErr> {
    existing_people()
        .filter(Column::PhoneKey.is_in(pad_to_pow2(phones)))
        .filter(Column::PhoneVerifiedAt.is_not_null())
        .filter(Column::Discoverable.eq(true))
        .all(db)
        .await
}

/// Finds the people who have one of these identifiers, except one person. Returns their identifier keys.
pub(super) async fn find_taken_keys(
    db: &impl ConnectionTrait,
    nickname: Option<&str>,
    email: Option<&str>,
    phone: Option<&PhoneKey>,
    except: Option<UserId>,
) -> Result<Vec<(Option<String>, Option<String>, Option<PhoneKey>)>, DbErr> {
    let mut condition = Condition::any();
    condition = condition.add_option(nickname.map(|key| Column::NicknameKey.eq(key)));
    condition = condition.add_option(email.map(|key| Column::EmailKey.eq(key)));
    condition = condition.add_option(phone.map(|key| Column::PhoneKey.eq(key.clone())));
    Entity::find()
        .select_only()
        .columns([Column::NicknameKey, Column::EmailKey, Column::PhoneKey])
        .filter(condition)
        .filter(Condition::all().add_option(except.map(|id| Column::Id.ne(id))))
        .into_tuple()
        .all(db)
        .await
}

/// The greatest of the phone numbers that start so, if anybody has one.
pub(super) async fn find_last_phone(
    db: &impl ConnectionTrait,
    prefix: &str,
) -> Result<Option<PhoneNumber>, DbErr> {
    // Digits sort before the colon.
    let last = Entity::find()
        .select_only()
        .column(Column::Phone)
        .filter(Column::PhoneKey.gte(prefix))
        .filter(Column::PhoneKey.lt(format!("{prefix}:")))
        .order_by_desc(Column::PhoneKey);
    Ok(last.into_tuple::<Option<PhoneNumber>>().one(db).await?.flatten())
}

/// Sets a person's role. Returns whether the person exists.
pub async fn set_role(tx: &Work, id: UserId, role: Role, now: Timestamp) -> Result<bool, DbErr> {
    let change = ActiveModel { role: Set(role), ..Default::default() };
    update(tx, id, change, now).await
}

/// Turns two-factor login on or off. Returns whether the person exists.
pub async fn set_two_factor(
    tx: &Work,
    id: UserId,
    enabled: bool,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let change = ActiveModel { two_factor_enabled: Set(enabled), ..Default::default() };
    update(tx, id, change, now).await
}

/// Marks a person's phone as verified, and no longer as lost. Returns whether that changed the row.
pub async fn mark_phone_verified(
    tx: &Work,
    person: &mut Model,
    now: Timestamp,
) -> Result<bool, DbErr> {
    if person.phone_verified_at.is_some() && !person.two_factor_waived {
        return Ok(false);
    }
    person.phone_verified_at = person.phone_verified_at.or(Some(now));
    person.two_factor_waived = false;
    let change = ActiveModel {
        phone_verified_at: Set(person.phone_verified_at),
        two_factor_waived: Set(false),
        ..Default::default()
    };
    update(tx, person.id, change, now).await
}

/// Turns off two-factor login for a person whose phone is lost, even where it is required.
pub async fn waive_two_factor(tx: &Work, id: UserId, now: Timestamp) -> Result<bool, DbErr> {
    let change = ActiveModel {
        two_factor_enabled: Set(false),
        two_factor_waived: Set(true),
        ..Default::default()
    };
    update(tx, id, change, now).await
}

/// Sets the phone of a person who has none. False if the person has one.
pub(super) async fn set_phone(
    tx: &Work,
    id: UserId,
    phone: &PhoneNumber,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let change = ActiveModel {
        phone: Set(Some(phone.clone())),
        phone_key: Set(Some(phone.key())),
        ..Default::default()
    };
    update_where(tx, id, Condition::all().add(Column::Phone.is_null()), change, now).await
}

/// Writes the fields of the profile that a person may change.
pub(super) async fn set_profile(tx: &Work, person: Model, now: Timestamp) -> Result<(), DbErr> {
    let change = ActiveModel {
        nickname: Set(person.nickname),
        nickname_key: Set(person.nickname_key),
        name: Set(person.name),
        email: Set(person.email),
        email_key: Set(person.email_key),
        discoverable: Set(person.discoverable),
        ..Default::default()
    };
    update(tx, person.id, change, now).await?;
    Ok(())
}

/// Erases a person's data and marks the row as deleted. Returns whether the person existed.
pub async fn erase(tx: &Work, id: UserId, now: Timestamp) -> Result<bool, DbErr> {
    let change = ActiveModel {
        nickname: Set(None),
        nickname_key: Set(None),
        name: Set(None),
        email: Set(None),
        email_key: Set(None),
        phone: Set(None),
        phone_key: Set(None),
        phone_verified_at: Set(None),
        discoverable: Set(false),
        two_factor_enabled: Set(false),
        two_factor_waived: Set(false),
        role: Set(Role::Player),
        deleted_at: Set(Some(now)),
        ..Default::default()
    };
    update(tx, id, change, now).await
}

async fn update(tx: &Work, id: UserId, change: ActiveModel, now: Timestamp) -> Result<bool, DbErr> {
    update_where(tx, id, Condition::all(), change, now).await
}

/// Changes an existing person if the condition holds. Returns whether it changed the row.
async fn update_where(
    tx: &Work,
    id: UserId,
    condition: Condition,
    mut change: ActiveModel,
    now: Timestamp,
) -> Result<bool, DbErr> {
    change.updated_at = Set(now);
    let existing =
        Entity::update_many().filter(Column::Id.eq(id)).filter(Column::DeletedAt.is_null());
    let updated = existing.filter(condition).set(change).exec(tx).await?;
    tx.publish(account_topic(id));
    Ok(updated.rows_affected == 1)
}

/// Inserts a person.
pub(super) async fn insert(tx: &Work, person: Model) -> Result<Model, DbErr> {
    person.into_active_model().reset_all().insert(tx).await
}
