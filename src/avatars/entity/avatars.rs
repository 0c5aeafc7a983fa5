//! The avatars table: each user's current picture. The row stays, with its version, when the picture is removed.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, QuerySelect};

use crate::avatars::picture_name::PictureName;
use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};

/// A user's avatar.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatars")]
pub struct Model {
    /// The owner.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The number of changes, removals included.
    pub version: i32,
    /// The picture. None: it was removed.
    pub picture: Option<PictureName>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A user's avatar.
pub async fn find(db: &impl ConnectionTrait, user: UserId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user).one(db).await
}

/// The avatars of these users.
pub async fn find_all(db: &impl ConnectionTrait, users: &[UserId]) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::UserId.is_in(pad_to_pow2(users))).all(db).await
}

/// Those of these pictures that avatars use.
pub async fn find_used_pictures(
    db: &impl ConnectionTrait,
    pictures: &[PictureName],
) -> Result<Vec<PictureName>, DbErr> {
    let used = Entity::find().select_only().column(Column::Picture);
    used.filter(Column::Picture.is_in(pad_to_pow2(pictures))).into_tuple().all(db).await
}

/// Inserts or replaces a user's avatar.
pub async fn upsert(tx: &Work, row: Model) -> Result<Model, DbErr> {
    let row = ActiveModel {
        user_id: Set(row.user_id),
        version: Set(row.version),
        picture: Set(row.picture),
        updated_at: Set(row.updated_at),
    };
    let on_conflict = OnConflict::column(Column::UserId)
        .update_columns([Column::Version, Column::Picture, Column::UpdatedAt])
        .to_owned();
    Entity::insert(row).on_conflict(on_conflict).exec_with_returning(tx).await
}

/// Deletes a user's avatar.
pub async fn delete(tx: &Work, user: UserId) -> Result<(), DbErr> {
    Entity::delete_by_id(user).exec(tx).await?;
    Ok(())
}
