//! The avatar_discards table: replaced pictures whose files are still to be deleted. Written in the transaction that
//! replaces the picture, so that a crash does not leave files behind.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ExprTrait, QueryOrder, QuerySelect};

use crate::avatars::picture_name::PictureName;
use crate::ids::UserId;
use crate::platform::clock::{MAX_SKEW, Timestamp};
use crate::platform::database::Work;

/// A discarded picture.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatar_discards")]
pub struct Model {
    /// The picture.
    #[sea_orm(primary_key, auto_increment = false)]
    pub picture: PictureName,
    /// The former owner.
    pub user_id: UserId,
    /// When it was discarded.
    pub discarded_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts a discarded picture.
pub async fn insert(
    tx: &Work,
    user: UserId,
    picture: PictureName,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = ActiveModel { picture: Set(picture), user_id: Set(user), discarded_at: Set(now) };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Pictures discarded before a cutoff, oldest first. Also those discarded after now: the clock was set back since.
pub async fn find_discarded_before(
    db: &impl ConnectionTrait,
    cutoff: Timestamp,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<PictureName>, DbErr> {
    let is_old = Column::DiscardedAt.lt(cutoff).or(Column::DiscardedAt.gt(now + MAX_SKEW));
    let oldest = Entity::find().filter(is_old);
    let oldest = oldest.order_by_asc(Column::DiscardedAt).limit(limit);
    oldest.select_only().column(Column::Picture).into_tuple().all(db).await
}

/// Discarded pictures of a user.
pub async fn find_by_user(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<PictureName>, DbErr> {
    let owned = Entity::find().filter(Column::UserId.eq(user));
    owned.select_only().column(Column::Picture).into_tuple().all(db).await
}

/// Whether a picture is discarded.
pub async fn is_discarded(db: &impl ConnectionTrait, picture: &PictureName) -> Result<bool, DbErr> {
    Ok(Entity::find_by_id(picture.clone()).one(db).await?.is_some())
}

/// Deletes a row, after its files.
pub async fn delete(tx: &Work, picture: &PictureName) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Picture.eq(picture.clone())).exec(tx).await?;
    Ok(())
}
