//! The mappings table. Whoever has the id of a mapping may use it.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, IntoActiveModel};

use crate::ids::MappingId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::purge;

/// A mapping. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mappings")]
pub struct Model {
    /// The id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MappingId,
    /// The object of expressions, as JSON.
    pub mapping: String,
    /// The expression of the list that is mapped item by item.
    pub items: Option<String>,
    /// The caller's name for it.
    pub label: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was used last, to a day. At first, when it was created.
    pub last_used_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts a mapping.
pub async fn insert(db: &impl ConnectionTrait, mapping: Model) -> Result<(), DbErr> {
    let row = mapping.into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The mapping with this id, if it was used since a time.
pub async fn find(
    db: &impl ConnectionTrait,
    id: MappingId,
    used_since: Timestamp,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::LastUsedAt.gte(used_since)).one(db).await
}

/// Stores that a mapping was used.
pub async fn set_used(
    db: &impl ConnectionTrait,
    id: MappingId,
    now: Timestamp,
) -> Result<(), DbErr> {
    let used = ActiveModel { last_used_at: Set(now), ..Default::default() };
    let mapping = Entity::update_many().set(used).filter(Column::Id.eq(id));
    mapping.filter(Column::LastUsedAt.lt(now)).exec(db).await?;
    Ok(())
}

/// Deletes the mappings that were not used since a time.
pub async fn purge_unused(platform: &Platform, since: Timestamp) -> crate::error::Result<u64> {
    purge::<Entity>(platform, Column::Id, Column::LastUsedAt.lt(since)).await
}
