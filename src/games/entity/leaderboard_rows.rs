//! The leaderboard_rows table: each user's points and rounds on each leaderboard.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict, Query};
use sea_orm::{FromQueryResult, IntoActiveModel, QueryOrder, QuerySelect, Statement};

use super::position::{POSITION_COLUMNS, Position, position_columns};
use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2, split_to_pow2};

/// A user's row on a leaderboard.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "leaderboard_rows")]
pub struct Model {
    /// The user.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The key of the leaderboard.
    #[sea_orm(primary_key, auto_increment = false)]
    pub leaderboard_key: String,
    /// The points, negated.
    pub negated_points: i64,
    /// When the newest round with points was played; without points, when the first round was.
    pub reached_at: Timestamp,
    /// How many rounds were played.
    pub rounds: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The points.
    pub fn points(&self) -> i64 {
        -self.negated_points
    }

    /// The position in the order of the leaderboard.
    pub fn position(&self) -> Position {
        let Self { negated_points, reached_at, user_id: user, .. } = *self;
        Position { negated_points, reached_at, user }
    }
}

/// A row with its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankedRow {
    /// The rank, from 1.
    pub rank: i64,
    /// The row.
    pub row: Model,
}

fn order_by_position(rows: Select<Entity>) -> Select<Entity> {
    POSITION_COLUMNS.into_iter().fold(rows, |rows, column| rows.order_by_asc(Expr::col(column)))
}

/// The first rows of a leaderboard.
pub async fn find_top(
    db: &impl ConnectionTrait,
    leaderboard_key: &str,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let rows = Entity::find().filter(Column::LeaderboardKey.eq(leaderboard_key));
    order_by_position(rows).limit(limit).all(db).await
}

/// The rows that these users have on a leaderboard.
pub async fn find_by_users(
    db: &impl ConnectionTrait,
    leaderboard_key: &str,
    users: &[UserId],
) -> Result<Vec<Model>, DbErr> {
    let rows = Entity::find().filter(Column::LeaderboardKey.eq(leaderboard_key));
    rows.filter(Column::UserId.is_in(pad_to_pow2(users))).all(db).await
}

/// Selects a user's row with up to two rows ahead and two behind, and the rank of the first of them. One statement, so
/// that ranks and rows are consistent. It reads the buckets' counts and the rows of one bucket only.
const RANK_VIEW_SQL: &str = include_str!("rank_view.sql");

#[derive(FromQueryResult)]
struct Neighbour {
    #[sea_orm(nested)]
    row: Model,
    first_rank: i64,
}

/// A user's row on a leaderboard with up to two rows ahead and two behind. Empty: the user has no row.
pub async fn find_around(
    db: &impl ConnectionTrait,
    leaderboard_key: &str,
    user: UserId,
) -> Result<Vec<RankedRow>, DbErr> {
    let values = [user.into(), leaderboard_key.into()];
    let query = Statement::from_sql_and_values(db.get_database_backend(), RANK_VIEW_SQL, values);
    let neighbours = Neighbour::find_by_statement(query).all(db).await?;
    let with_rank = |(index, neighbour): (i64, Neighbour)| RankedRow {
        rank: neighbour.first_rank + index,
        row: neighbour.row,
    };
    Ok((0..).zip(neighbours).map(with_rank).collect())
}

/// The position of the row that is `offset` rows after the first row at or after a position.
pub async fn find_position_after(
    db: &impl ConnectionTrait,
    leaderboard_key: &str,
    from: Position,
    offset: u64,
) -> Result<Option<Position>, DbErr> {
    let rows = Entity::find().filter(Column::LeaderboardKey.eq(leaderboard_key));
    let rows = rows.filter(position_columns().gte(from.row_value()));
    let row = order_by_position(rows).offset(offset).limit(1).one(db).await?;
    Ok(row.map(|row| row.position()))
}

/// Writes new rows and new values of existing ones.
pub async fn upsert(tx: &Work, rows: Vec<Model>) -> Result<(), DbErr> {
    for rows in split_to_pow2(rows) {
        let mut on_conflict = OnConflict::columns([Column::UserId, Column::LeaderboardKey]);
        on_conflict.update_columns([Column::NegatedPoints, Column::ReachedAt, Column::Rounds]);
        let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
        Entity::insert_many(rows).on_conflict(on_conflict).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Deletes a user's rows. Returns them.
pub async fn delete_by_user(tx: &Work, user: UserId) -> Result<Vec<Model>, DbErr> {
    let rows = Entity::delete_many().filter(Column::UserId.eq(user));
    rows.exec_with_returning(tx).await
}

/// Deletes up to `limit` rows of leaderboards with keys from `from` up to, but not including, `to`. Returns how many.
pub async fn delete_between(tx: &Work, from: &str, to: &str, limit: u64) -> Result<u64, DbErr> {
    let key = [Column::UserId, Column::LeaderboardKey];
    let batch = Query::select()
        .columns(key)
        .from(Entity)
        .and_where(Column::LeaderboardKey.gte(from))
        .and_where(Column::LeaderboardKey.lt(to))
        .limit(limit)
        .take();
    let is_in_batch = Expr::tuple(key.map(Expr::col)).in_subquery(batch);
    Ok(Entity::delete_many().filter(is_in_batch).exec(tx).await?.rows_affected)
}
