//! The users table and its finders. A deleted user is found by none of them.

use std::collections::HashSet;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::LockType;
use sea_orm::{ActiveValue::Set, Condition, IntoActiveModel, QuerySelect};

use super::identity::Identifier;
use crate::error::{Error, ErrorCode};
use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::{PhoneKey, PhoneNumber};

/// One person.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
#[expect(missing_docs, reason = "the columns are explained by the fields of User in the schema")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    pub nickname: Option<String>,
    /// The nickname as it is compared.
    pub nickname_key: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    /// The e-mail address as it is compared.
    pub email_key: Option<String>,
    pub phone: Option<PhoneNumber>,
    /// The phone number as it is compared.
    pub phone_key: Option<PhoneKey>,
    pub phone_verified_at: Option<Instant>,
    pub discoverable: bool,
    pub two_factor_enabled: bool,
    /// Nobody asks for a code, required or not: the phone is lost. Until a code is answered again.
    pub two_factor_waived: bool,
    pub role: Role,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub deleted_at: Option<Instant>,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Plays.
    Player,
    /// Operates the installation.
    Admin,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether those who have their number may see their profile: it is proven, and they let others find them.
    pub fn is_visible(&self) -> bool {
        self.discoverable && self.phone.is_some() && self.phone_verified_at.is_some()
    }

    /// What others call them: the nickname, else the name, else "Player".
    pub fn display_name(&self) -> &str {
        self.nickname.as_deref().or(self.name.as_deref()).unwrap_or("Player")
    }
}

fn living() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.is_null())
}

/// The person of an id.
///
/// # Errors
/// Those of the database.
pub async fn by_id(db: &impl ConnectionTrait, id: UserId) -> Result<Option<Model>, DbErr> {
    living().filter(Column::Id.eq(id)).one(db).await
}

/// The person of an id, who must be there.
///
/// # Errors
/// NOT_FOUND for who is not.
pub async fn get(db: &impl ConnectionTrait, id: UserId) -> crate::error::Result<Model> {
    by_id(db, id).await?.ok_or_else(|| Error::not_found("user"))
}

/// Who is signed in.
///
/// # Errors
/// ACCOUNT_DELETED when that was the last that they were; those of the database.
pub async fn own(db: &impl ConnectionTrait, id: UserId) -> crate::error::Result<Model> {
    by_id(db, id).await?.ok_or_else(deleted)
}

/// The same, whose row nobody else changes until the transaction ends: what is written for them then goes with
/// the account, should it be deleted.
///
/// # Errors
/// The same.
pub async fn lock_own(tx: &Work, id: UserId) -> crate::error::Result<Model> {
    lock(tx, id).await?.ok_or_else(deleted)
}

fn deleted() -> Error {
    Error::new(ErrorCode::AccountDeleted, "The account has been deleted.")
}

/// The person of an id, whose row nobody else changes until the transaction ends.
///
/// # Errors
/// Those of the database.
pub async fn lock(tx: &Work, id: UserId) -> Result<Option<Model>, DbErr> {
    // SQLite has one writer, and no such clause. Rows that refer to theirs can be added meanwhile: whoever adds one
    // may hold what the holder of this lock waits for.
    living().filter(Column::Id.eq(id)).lock(LockType::NoKeyUpdate).one(tx).await
}

/// The people of some ids.
///
/// # Errors
/// Those of the database.
pub async fn by_ids(db: &impl ConnectionTrait, ids: &[UserId]) -> Result<Vec<Model>, DbErr> {
    living().filter(Column::Id.is_in(pad_to_pow2(ids))).all(db).await
}

/// Those of some ids who have not been deleted.
///
/// # Errors
/// Those of the database.
pub async fn living_of(
    db: &impl ConnectionTrait,
    ids: &[UserId],
) -> Result<HashSet<UserId>, DbErr> {
    let ids = living().filter(Column::Id.is_in(pad_to_pow2(ids))).select_only().column(Column::Id);
    Ok(ids.into_tuple().all(db).await?.into_iter().collect())
}

/// The person who logs in by this.
///
/// # Errors
/// Those of the database.
pub async fn by_identifier(
    db: &impl ConnectionTrait,
    identifier: &Identifier,
) -> Result<Option<Model>, DbErr> {
    let condition = match identifier {
        Identifier::Nickname(key) => Column::NicknameKey.eq(key),
        Identifier::Email(key) => Column::EmailKey.eq(key),
        Identifier::Phone(key) => Column::PhoneKey.eq(key.clone()),
    };
    living().filter(condition).one(db).await
}

/// Those among the owners of these numbers who proved the number and let others find them.
///
/// # Errors
/// Those of the database.
pub async fn discoverable(
    db: &impl ConnectionTrait,
    phones: &[PhoneKey],
) -> Result<Vec<Model>, DbErr> {
    living()
        .filter(Column::PhoneKey.is_in(pad_to_pow2(phones)))
        .filter(Column::PhoneVerifiedAt.is_not_null())
        .filter(Column::Discoverable.eq(true))
        .all(db)
        .await
}

/// Which of these three are somebody's already, but for one person.
pub(super) async fn taken(
    db: &impl ConnectionTrait,
    nickname: Option<&str>,
    email: Option<&str>,
    phone: Option<&PhoneKey>,
    but: Option<UserId>,
) -> Result<Vec<(Option<String>, Option<String>, Option<PhoneKey>)>, DbErr> {
    let mut condition = Condition::any();
    condition = condition.add_option(nickname.map(|key| Column::NicknameKey.eq(key)));
    condition = condition.add_option(email.map(|key| Column::EmailKey.eq(key)));
    condition = condition.add_option(phone.map(|key| Column::PhoneKey.eq(key.clone())));
    Entity::find()
        .select_only()
        .columns([Column::NicknameKey, Column::EmailKey, Column::PhoneKey])
        .filter(condition)
        .filter(Condition::all().add_option(but.map(|id| Column::Id.ne(id))))
        .into_tuple()
        .all(db)
        .await
}

/// Gives somebody a role. Answers whether there is such a person.
///
/// # Errors
/// Those of the database.
pub async fn set_role(tx: &Work, id: UserId, role: Role, now: Instant) -> Result<bool, DbErr> {
    let change = ActiveModel { role: Set(role), ..Default::default() };
    set(tx, living_one(id), change, now).await
}

/// Turns somebody's two-factor login on or off. Answers whether there is such a person.
///
/// # Errors
/// Those of the database.
pub async fn set_two_factor(
    tx: &Work,
    id: UserId,
    enabled: bool,
    now: Instant,
) -> Result<bool, DbErr> {
    let change = ActiveModel { two_factor_enabled: Set(enabled), ..Default::default() };
    set(tx, living_one(id), change, now).await
}

/// Writes down that somebody has their phone: it is theirs, and not lost.
///
/// # Errors
/// Those of the database.
pub async fn prove_phone(tx: &Work, person: &mut Model, now: Instant) -> Result<(), DbErr> {
    if person.phone_verified_at.is_none() || person.two_factor_waived {
        person.phone_verified_at = person.phone_verified_at.or(Some(now));
        person.two_factor_waived = false;
        let change = ActiveModel {
            phone_verified_at: Set(person.phone_verified_at),
            two_factor_waived: Set(false),
            ..Default::default()
        };
        set(tx, living_one(person.id), change, now).await?;
    }
    Ok(())
}

/// Turns off two-factor login for somebody whose phone is lost, also where it is required.
///
/// # Errors
/// Those of the database.
pub async fn waive_two_factor(tx: &Work, id: UserId, now: Instant) -> Result<bool, DbErr> {
    let change = ActiveModel {
        two_factor_enabled: Set(false),
        two_factor_waived: Set(true),
        ..Default::default()
    };
    set(tx, living_one(id), change, now).await
}

/// Gives a phone to somebody who has none. Answers whether that was so.
pub(super) async fn set_phone(
    tx: &Work,
    id: UserId,
    phone: &PhoneNumber,
    now: Instant,
) -> Result<bool, DbErr> {
    let change = ActiveModel {
        phone: Set(Some(phone.clone())),
        phone_key: Set(Some(phone.key())),
        ..Default::default()
    };
    set(tx, living_one(id).add(Column::Phone.is_null()), change, now).await
}

/// Writes what a person may change about themselves.
pub(super) async fn set_profile(tx: &Work, person: Model, now: Instant) -> Result<(), DbErr> {
    let change = ActiveModel {
        nickname: Set(person.nickname),
        nickname_key: Set(person.nickname_key),
        name: Set(person.name),
        email: Set(person.email),
        email_key: Set(person.email_key),
        discoverable: Set(person.discoverable),
        ..Default::default()
    };
    set(tx, living_one(person.id), change, now).await?;
    Ok(())
}

/// Makes a tombstone of somebody's row: of what it said of them, nothing is left.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &Work, id: UserId, now: Instant) -> Result<bool, DbErr> {
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
    set(tx, living_one(id), change, now).await
}

fn living_one(id: UserId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::DeletedAt.is_null())
}

async fn set(
    tx: &Work,
    whom: Condition,
    mut change: ActiveModel,
    now: Instant,
) -> Result<bool, DbErr> {
    change.updated_at = Set(now);
    let updated = Entity::update_many().set(change).filter(whom).exec(tx).await?;
    Ok(updated.rows_affected == 1)
}

/// Writes a new person's row.
pub(super) async fn insert(tx: &Work, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(tx).await
}
