//! The avatars table: which picture somebody has now. The version counts on when there is none.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, QuerySelect};

use crate::avatars::name::Picture;
use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};

/// Somebody's avatar, or that they have none any more.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatars")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// How often it changed.
    pub version: i32,
    /// What it shows. None: it was removed.
    pub picture: Option<Picture>,
    /// When it changed last.
    pub updated_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Somebody's.
pub async fn of(db: &impl ConnectionTrait, user: UserId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user).one(db).await
}

/// Those of some people.
pub async fn of_all(db: &impl ConnectionTrait, users: &[UserId]) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::UserId.is_in(pad_to_pow2(users))).all(db).await
}

/// Those among some pictures that somebody shows.
pub async fn shown(db: &impl ConnectionTrait, pictures: &[Picture]) -> Result<Vec<Picture>, DbErr> {
    let shown = Entity::find().select_only().column(Column::Picture);
    shown.filter(Column::Picture.is_in(pad_to_pow2(pictures))).into_tuple().all(db).await
}

/// Writes what somebody shows from now on.
pub async fn put(tx: &Work, row: Model) -> Result<Model, DbErr> {
    let row = ActiveModel {
        user_id: Set(row.user_id),
        version: Set(row.version),
        picture: Set(row.picture),
        updated_at: Set(row.updated_at),
    };
    let newest = OnConflict::column(Column::UserId)
        .update_columns([Column::Version, Column::Picture, Column::UpdatedAt])
        .to_owned();
    Entity::insert(row).on_conflict(newest).exec_with_returning(tx).await
}

/// Removes somebody's row.
pub async fn delete(tx: &Work, user: UserId) -> Result<(), DbErr> {
    Entity::delete_by_id(user).exec(tx).await?;
    Ok(())
}
