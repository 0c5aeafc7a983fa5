//! The contacts table. Queries of contacts are restricted to their owner.

use std::collections::HashSet;

use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::LikeExpr;
use sea_orm::{ActiveValue::Set, Condition, QuerySelect};

use crate::ids::{ContactId, UserId};
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, is_unique_violation, pad_to_pow2};
use crate::platform::phone::{PhoneKey, PhoneNumber};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "contacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ContactId,
    pub owner_id: UserId,
    pub name: String,
    /// Normalized name for sorting and searching.
    pub sort_key: String,
    pub phone: PhoneNumber,
    /// Key for comparing the phone number.
    pub phone_key: PhoneKey,
    pub created_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Position of a contact in its owner's list: sort key, name, id.
pub type SortPosition = (String, String, Uuid);

/// Search criteria. A contact matches if it meets one of them.
#[derive(Clone, Debug)]
pub struct ContactSearch {
    /// Part of the sort key.
    pub name: String,
    /// Part of the number, as digits. `None` if the search has too few.
    pub digits: Option<String>,
    /// Complete number.
    pub phone: Option<PhoneKey>,
}

fn owned_by(owner: UserId, search: Option<&ContactSearch>) -> Select<Entity> {
    let contacts = Entity::find().filter(Column::OwnerId.eq(owner));
    let Some(search) = search else { return contacts };
    let digits = search.digits.as_deref().map(|digits| Column::Phone.like(like_pattern(digits)));
    contacts.filter(
        Condition::any()
            .add(Column::SortKey.like(like_pattern(&search.name)))
            .add_option(digits)
            .add_option(search.phone.as_ref().map(|key| Column::PhoneKey.eq(key.clone()))),
    )
}

fn like_pattern(substring: &str) -> LikeExpr {
    let literal = substring.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    LikeExpr::new(format!("%{literal}%")).escape('\\')
}

/// A page of the owner's contacts, by name, after a position.
pub async fn find_page(
    db: &impl ConnectionTrait,
    owner: UserId,
    search: Option<&ContactSearch>,
    after: Option<SortPosition>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut cursor = owned_by(owner, search).cursor_by((Column::SortKey, Column::Name, Column::Id));
    if let Some(position) = after {
        cursor.after(position);
    }
    cursor.first(limit).all(db).await
}

/// Number of the owner's contacts.
pub async fn count(
    db: &impl ConnectionTrait,
    owner: UserId,
    search: Option<&ContactSearch>,
) -> Result<i64, DbErr> {
    let count = owned_by(owner, search)
        .select_only()
        .expr(Column::Id.count())
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(count.unwrap_or_default())
}

/// A contact of the owner.
pub async fn find_by_id(
    db: &impl ConnectionTrait,
    owner: UserId,
    id: ContactId,
) -> Result<Option<Model>, DbErr> {
    owned_by(owner, None).filter(Column::Id.eq(id)).one(db).await
}

/// Whether the owner has a contact with this number.
pub async fn has_phone(
    db: &impl ConnectionTrait,
    owner: UserId,
    phone: &PhoneKey,
) -> Result<bool, DbErr> {
    Ok(owned_by(owner, None).filter(Column::PhoneKey.eq(phone.clone())).one(db).await?.is_some())
}

/// Renames a contact. Returns false if it is not the owner's.
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

/// Deletes a contact. Returns false if it is not the owner's.
pub async fn delete(tx: &Work, owner: UserId, id: ContactId) -> Result<bool, DbErr> {
    let deleted = Entity::delete_many()
        .filter(Column::Id.eq(id))
        .filter(Column::OwnerId.eq(owner))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// Keys of the numbers of the owner's contacts.
pub async fn list_phone_keys(
    db: &impl ConnectionTrait,
    owner: UserId,
) -> Result<Vec<PhoneKey>, DbErr> {
    owned_by(owner, None).select_only().column(Column::PhoneKey).into_tuple().all(db).await
}

/// Numbers of the owner's contacts.
pub async fn list_phones(
    db: &impl ConnectionTrait,
    owner: UserId,
) -> Result<Vec<PhoneNumber>, DbErr> {
    owned_by(owner, None).select_only().column(Column::Phone).into_tuple().all(db).await
}

/// Deletes all contacts of the owner. Returns their number.
pub async fn delete_all(tx: &Work, owner: UserId) -> Result<u64, DbErr> {
    Ok(Entity::delete_many().filter(Column::OwnerId.eq(owner)).exec(tx).await?.rows_affected)
}

/// Returns the numbers that any user's contact has.
pub async fn find_phones_in_use(
    tx: &Work,
    phones: &[PhoneNumber],
) -> Result<HashSet<PhoneNumber>, DbErr> {
    let used: Vec<PhoneNumber> = Entity::find()
        .select_only()
        .column(Column::Phone)
        .distinct()
        .filter(Column::Phone.is_in(pad_to_pow2(phones)))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(used.into_iter().collect())
}

/// Inserts a contact.
pub async fn insert(tx: &Work, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(tx).await
}

/// Whether an insert failed because the owner already has the number.
pub fn is_duplicate_phone(error: &DbErr) -> bool {
    is_unique_violation(error, "contacts", &["owner_id", "phone_key"])
}
