//! Rows of instances.

use std::ops::RangeInclusive;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition, QueryOrder, QuerySelect};

use crate::platform::clock::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "instances")]
pub struct Model {
    /// Random, chosen when the process starts.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The version of the program.
    pub version: String,
    /// Number of open sockets.
    pub sockets: i32,
    /// When the instance reported last.
    pub seen_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Adds or updates the row of an instance.
pub async fn upsert(db: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    let row = ActiveModel {
        id: Set(row.id),
        version: Set(row.version),
        sockets: Set(row.sockets),
        seen_at: Set(row.seen_at),
    };
    let update =
        OnConflict::column(Column::Id).update_columns([Column::Sockets, Column::SeenAt]).to_owned();
    Entity::insert(row).on_conflict(update).exec_without_returning(db).await?;
    Ok(())
}

/// The number of other instances that reported within these times, and the sum of their open sockets.
pub async fn sum_others(
    db: &impl ConnectionTrait,
    own_id: Uuid,
    seen: RangeInclusive<Timestamp>,
) -> Result<(i64, i64), DbErr> {
    let sockets: Vec<i32> = Entity::find()
        .select_only()
        .column(Column::Sockets)
        .filter(Column::Id.ne(own_id))
        .filter(Column::SeenAt.between(*seen.start(), *seen.end()))
        .into_tuple()
        .all(db)
        .await?;
    let count = i64::try_from(sockets.len()).unwrap_or(i64::MAX);
    Ok((count, sockets.into_iter().map(i64::from).sum()))
}

/// When an instance reported last, whichever it was.
pub async fn find_last_report(db: &impl ConnectionTrait) -> Result<Option<Timestamp>, DbErr> {
    let newest = Entity::find().order_by_desc(Column::SeenAt).one(db).await?;
    Ok(newest.map(|row| row.seen_at))
}

/// Deletes the rows of instances that reported before `from` or, before the clock was set back, after `to`.
pub async fn delete_outside(
    db: &impl ConnectionTrait,
    from: Timestamp,
    to: Timestamp,
) -> Result<(), DbErr> {
    let outside = Condition::any().add(Column::SeenAt.lt(from)).add(Column::SeenAt.gt(to));
    Entity::delete_many().filter(outside).exec(db).await?;
    Ok(())
}
