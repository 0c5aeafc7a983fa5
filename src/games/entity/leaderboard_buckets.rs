//! The leaderboard_buckets table: the number of leaderboard rows per range of positions.

use std::collections::BTreeMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, QueryOrder};

use super::position::{POSITION_COLUMNS, Position, position_columns};
use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, split_to_pow2};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "leaderboard_buckets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub leaderboard_key: String,
    /// First part of the position at which the bucket starts. It ends where the next bucket starts.
    #[sea_orm(primary_key, auto_increment = false)]
    pub negated_points: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub reached_at: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// How many rows are in the bucket.
    pub row_count: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Row counts by the start of their bucket.
pub type Buckets = BTreeMap<Position, i64>;

fn of_leaderboard(leaderboard_key: &str) -> Select<Entity> {
    Entity::find().filter(Column::LeaderboardKey.eq(leaderboard_key))
}

/// Start of the bucket that contains a position. None: the leaderboard has no buckets yet.
async fn find_bucket_start(
    db: &impl ConnectionTrait,
    leaderboard_key: &str,
    position: Position,
) -> Result<Option<Position>, DbErr> {
    let up_to =
        of_leaderboard(leaderboard_key).filter(position_columns().lte(position.row_value()));
    let last = POSITION_COLUMNS
        .into_iter()
        .fold(up_to, |query, column| query.order_by_desc(Expr::col(column)));
    Ok(last.one(db).await?.map(|bucket| bucket.start()))
}

/// The buckets that contain the positions from one to another. Empty: the leaderboard has no buckets yet.
pub async fn find_between(
    db: &impl ConnectionTrait,
    leaderboard_key: &str,
    (first, last): (Position, Position),
) -> Result<Buckets, DbErr> {
    let Some(start) = find_bucket_start(db, leaderboard_key, first).await? else {
        return Ok(Buckets::new());
    };
    let buckets = of_leaderboard(leaderboard_key).filter(position_columns().gte(start.row_value()));
    let buckets = buckets.filter(position_columns().lte(last.row_value())).all(db).await?;
    Ok(buckets.into_iter().map(|bucket| (bucket.start(), bucket.row_count)).collect())
}

impl Model {
    fn start(&self) -> Position {
        let Self { negated_points, reached_at, user_id: user, .. } = *self;
        Position { negated_points, reached_at, user }
    }
}

/// Writes new buckets and new counts of existing ones.
pub async fn upsert(tx: &Work, buckets: Vec<(String, Position, i64)>) -> Result<(), DbErr> {
    let rows = buckets.into_iter().map(|(leaderboard_key, start, row_count)| ActiveModel {
        leaderboard_key: Set(leaderboard_key),
        negated_points: Set(start.negated_points),
        reached_at: Set(start.reached_at),
        user_id: Set(start.user),
        row_count: Set(row_count),
    });
    for rows in split_to_pow2(rows.collect()) {
        let mut on_conflict = OnConflict::columns([
            Column::LeaderboardKey,
            Column::NegatedPoints,
            Column::ReachedAt,
            Column::UserId,
        ]);
        on_conflict.update_column(Column::RowCount);
        Entity::insert_many(rows).on_conflict(on_conflict).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Deletes a bucket.
pub async fn delete(tx: &Work, leaderboard_key: &str, start: Position) -> Result<(), DbErr> {
    let of_leaderboard = Entity::delete_many().filter(Column::LeaderboardKey.eq(leaderboard_key));
    of_leaderboard.filter(position_columns().eq(start.row_value())).exec(tx).await?;
    Ok(())
}

/// Subtracts one row from the bucket that contains a position.
pub async fn decrement(tx: &Work, leaderboard_key: &str, position: Position) -> Result<(), DbErr> {
    let Some(start) = find_bucket_start(tx, leaderboard_key, position).await? else {
        return Ok(());
    };
    Entity::update_many()
        .col_expr(Column::RowCount, Expr::col(Column::RowCount).sub(1))
        .filter(Column::LeaderboardKey.eq(leaderboard_key))
        .filter(position_columns().eq(start.row_value()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes the buckets of leaderboards with keys from `from` up to, but not including, `to`.
pub async fn delete_between(tx: &Work, from: &str, to: &str) -> Result<(), DbErr> {
    let expired = Entity::delete_many().filter(Column::LeaderboardKey.gte(from));
    expired.filter(Column::LeaderboardKey.lt(to)).exec(tx).await?;
    Ok(())
}
