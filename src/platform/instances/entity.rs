//! Rows of instances.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition};

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
