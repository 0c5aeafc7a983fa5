//! The avatar_discards table: pictures that nobody shows any more and whose files are to go. Written with the
//! change that makes it so, so that a process that ends before the files are gone leaves word.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ExprTrait, QueryOrder, QuerySelect};

use crate::avatars::name::Picture;
use crate::ids::UserId;
use crate::platform::clock::{Instant, MAX_SKEW};
use crate::platform::database::Work;

/// A picture whose files are to go.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatar_discards")]
pub struct Model {
    /// Which one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub picture: Picture,
    /// Whose it was.
    pub user_id: UserId,
    /// Since when.
    pub discarded_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Writes one down.
pub async fn insert(tx: &Work, user: UserId, picture: Picture, now: Instant) -> Result<(), DbErr> {
    let row = ActiveModel { picture: Set(picture), user_id: Set(user), discarded_at: Set(now) };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// The oldest of those that were discarded before a moment; or after now, so that the clock was set back since.
pub async fn before(
    db: &impl ConnectionTrait,
    moment: Instant,
    now: Instant,
    most: u64,
) -> Result<Vec<Picture>, DbErr> {
    let is_old = Column::DiscardedAt.lt(moment).or(Column::DiscardedAt.gt(now + MAX_SKEW));
    let oldest = Entity::find().filter(is_old);
    let oldest = oldest.order_by_asc(Column::DiscardedAt).limit(most);
    oldest.select_only().column(Column::Picture).into_tuple().all(db).await
}

/// Those that were somebody's.
pub async fn owned_by(db: &impl ConnectionTrait, user: UserId) -> Result<Vec<Picture>, DbErr> {
    let owned = Entity::find().filter(Column::UserId.eq(user));
    owned.select_only().column(Column::Picture).into_tuple().all(db).await
}

/// Whether a picture is among them.
pub async fn contains(db: &impl ConnectionTrait, picture: &Picture) -> Result<bool, DbErr> {
    Ok(Entity::find_by_id(picture.clone()).one(db).await?.is_some())
}

/// Its files are gone.
pub async fn delete(tx: &Work, picture: &Picture) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Picture.eq(picture.clone())).exec(tx).await?;
    Ok(())
}
