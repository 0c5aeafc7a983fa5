//! The leaderboard_state table: one row, which every writer of leaderboards updates first, as a lock.

use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QuerySelect};

use super::rounds;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

const ROW_ID: i32 = 1;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "leaderboard_state")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// All plays that were answered before this time are counted.
    pub counted_up_to: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How far the rounds are counted.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct CountingProgress {
    /// All plays that were answered before this time are counted.
    pub counted_up_to: Timestamp,
    /// Whether there are played rounds that are not counted.
    pub has_uncounted_rounds: bool,
}

/// Reads how far the rounds are counted.
pub async fn read(db: &impl ConnectionTrait) -> Result<CountingProgress, DbErr> {
    let state = Entity::find_by_id(ROW_ID)
        .select_only()
        .column(Column::CountedUpTo)
        .column_as(Expr::exists(rounds::uncounted_ids()), "has_uncounted_rounds");
    state.into_model().one(db).await?.ok_or_else(missing_row)
}

/// Locks out other writers of leaderboards until the transaction ends. Returns `counted_up_to`.
pub async fn lock(tx: &Work) -> Result<Timestamp, DbErr> {
    // Changes nothing, but locks the row on both databases.
    let no_op = Entity::update_many().col_expr(Column::Id, Expr::value(ROW_ID));
    let locked = no_op.filter(Column::Id.eq(ROW_ID)).exec_with_returning(tx).await?;
    locked.first().map(|row| row.counted_up_to).ok_or_else(missing_row)
}

/// Sets the time up to which rounds are counted.
pub async fn set_counted_up_to(tx: &Work, counted_up_to: Timestamp) -> Result<(), DbErr> {
    let update = Entity::update_many().col_expr(Column::CountedUpTo, Expr::value(counted_up_to));
    update.filter(Column::Id.eq(ROW_ID)).exec(tx).await?;
    Ok(())
}

fn missing_row() -> DbErr {
    DbErr::RecordNotFound("the row of leaderboard_state".to_owned())
}
