//! The avatar_discards table: pictures that nobody shows any more and whose files are to go. Written with the
//! change that makes it so, so that a process that ends before the files are gone leaves word.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect};

use crate::avatars::name::Picture;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// A picture whose files are to go.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "avatar_discards")]
pub struct Model {
    /// Which one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub picture: Picture,
    /// Since when.
    pub discarded_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Writes one down.
pub async fn insert(tx: &Work, picture: Picture, now: Instant) -> Result<(), DbErr> {
    let row = ActiveModel { picture: Set(picture), discarded_at: Set(now) };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// The oldest of those that were discarded before a moment.
pub async fn before(
    db: &impl ConnectionTrait,
    moment: Instant,
    most: u64,
) -> Result<Vec<Picture>, DbErr> {
    let oldest = Entity::find().filter(Column::DiscardedAt.lt(moment));
    let oldest = oldest.order_by_asc(Column::DiscardedAt).limit(most);
    oldest.select_only().column(Column::Picture).into_tuple().all(db).await
}

/// Its files are gone.
pub async fn delete(tx: &Work, picture: &Picture) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Picture.eq(picture.clone())).exec(tx).await?;
    Ok(())
}
