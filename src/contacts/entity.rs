//! The contacts table. Every finder carries the owner.

use std::collections::HashSet;

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::LikeExpr;
use sea_orm::{ActiveValue::Set, Condition, QuerySelect};

use crate::ids::{ContactId, UserId};
use crate::platform::clock::Instant;
use crate::platform::database::{Work, is_unique_violation, pad_to_pow2};
use crate::platform::phone::{PhoneKey, PhoneNumber};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ContactId,
    pub owner_id: UserId,
    pub name: String,
    /// What the name is sorted and searched by.
    pub sort_key: String,
    pub phone: PhoneNumber,
    /// The phone number as it is compared.
    pub phone_key: PhoneKey,
    pub created_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a contact stands in its owner's list: its sort key, its name, its id.
pub type Place = (String, String, Uuid);

/// What a search looks for.
#[derive(Clone, Debug)]
pub struct Search {
    /// A part of a sort key.
    pub name: String,
    /// A part of the number, in digits; none when the search has too few.
    pub digits: Option<String>,
    /// A whole number, as it is compared.
    pub phone: Option<PhoneKey>,
}

fn owned_by(owner: UserId, search: Option<&Search>) -> Select<Entity> {
    let contacts = Entity::find().filter(Column::OwnerId.eq(owner));
    let Some(search) = search else { return contacts };
    let digits = search.digits.as_deref().map(|digits| Column::Phone.like(containing(digits)));
    contacts.filter(
        Condition::any()
            .add(Column::SortKey.like(containing(&search.name)))
            .add_option(digits)
            .add_option(search.phone.as_ref().map(|key| Column::PhoneKey.eq(key.clone()))),
    )
}

fn containing(part: &str) -> LikeExpr {
    let literal = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    LikeExpr::new(format!("%{literal}%")).escape('\\')
}

/// Some of somebody's contacts, by name, after a place in the list.
pub async fn page(
    db: &impl ConnectionTrait,
    owner: UserId,
    search: Option<&Search>,
    after: Option<Place>,
    rows: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut cursor = owned_by(owner, search).cursor_by((Column::SortKey, Column::Name, Column::Id));
    if let Some(place) = after {
        cursor.after(place);
    }
    cursor.first(rows).all(db).await
}

/// How many contacts somebody has.
pub async fn count(
    db: &impl ConnectionTrait,
    owner: UserId,
    search: Option<&Search>,
) -> Result<i64, DbErr> {
    let counted = owned_by(owner, search)
        .select_only()
        .expr(Column::Id.count())
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(counted.unwrap_or_default())
}

/// One of somebody's contacts.
pub async fn by_id(
    db: &impl ConnectionTrait,
    owner: UserId,
    id: ContactId,
) -> Result<Option<Model>, DbErr> {
    owned_by(owner, None).filter(Column::Id.eq(id)).one(db).await
}

/// Whether somebody has the number among their contacts.
///
/// # Errors
/// Those of the database.
pub async fn has_phone(
    db: &impl ConnectionTrait,
    owner: UserId,
    phone: &PhoneKey,
) -> Result<bool, DbErr> {
    Ok(owned_by(owner, None).filter(Column::PhoneKey.eq(phone.clone())).one(db).await?.is_some())
}

/// Gives one of somebody's contacts another name. False when it is not theirs.
pub async fn set_name(
    tx: &Work,
    owner: UserId,
    id: ContactId,
    name: &str,
    sort_key: &str,
) -> Result<bool, DbErr> {
    let change = ActiveModel {
        name: Set(name.to_owned()),
        sort_key: Set(sort_key.to_owned()),
        ..Default::default()
    };
    let updated = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(id))
        .filter(Column::OwnerId.eq(owner))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Removes one of somebody's contacts. False when it is not theirs.
pub async fn delete(tx: &Work, owner: UserId, id: ContactId) -> Result<bool, DbErr> {
    let deleted = Entity::delete_many()
        .filter(Column::Id.eq(id))
        .filter(Column::OwnerId.eq(owner))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// The numbers among somebody's contacts, as they are compared.
///
/// # Errors
/// Those of the database.
pub async fn phone_keys_of(
    db: &impl ConnectionTrait,
    owner: UserId,
) -> Result<Vec<PhoneKey>, DbErr> {
    owned_by(owner, None).select_only().column(Column::PhoneKey).into_tuple().all(db).await
}

/// The numbers among somebody's contacts.
///
/// # Errors
/// Those of the database.
pub async fn phones_of(
    db: &impl ConnectionTrait,
    owner: UserId,
) -> Result<Vec<PhoneNumber>, DbErr> {
    owned_by(owner, None).select_only().column(Column::Phone).into_tuple().all(db).await
}

/// Removes all of somebody's contacts. Answers how many there were.
pub async fn delete_all(tx: &Work, owner: UserId) -> Result<u64, DbErr> {
    Ok(Entity::delete_many().filter(Column::OwnerId.eq(owner)).exec(tx).await?.rows_affected)
}

/// Which of some numbers are among anybody's contacts.
pub async fn in_use(tx: &Work, phones: &[PhoneNumber]) -> Result<HashSet<PhoneNumber>, DbErr> {
    let found: Vec<PhoneNumber> = Entity::find()
        .select_only()
        .column(Column::Phone)
        .distinct()
        .filter(Column::Phone.is_in(pad_to_pow2(phones)))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(found.into_iter().collect())
}

/// Writes a new one.
pub async fn insert(tx: &Work, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(tx).await
}

/// Whether a new one was refused because its owner has the number already.
pub fn is_there(error: &DbErr) -> bool {
    is_unique_violation(error, "contacts", &["owner_id", "phone_key"])
}
