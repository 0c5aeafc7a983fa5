//! The user_activity table: who was active in which hour.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Query;
use sea_orm::{ExprTrait, FromQueryResult, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;

use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::jobs::purge;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "user_activity")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: Timestamp,
    /// The game that was played. Empty: a login or a refreshed session.
    #[sea_orm(primary_key, auto_increment = false)]
    pub game: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_number: i64,
    /// Whether the bitmaps have it.
    pub is_folded: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A row to insert.
#[derive(Debug, Serialize)]
pub struct NewRow {
    hour: String,
    game: &'static str,
    user_id: RowUuid,
}

impl NewRow {
    /// A user's row of an hour.
    pub fn new(user: UserId, hour: Timestamp, game: &'static str) -> Self {
        Self { hour: row_timestamp(hour), game, user_id: RowUuid(user.uuid()) }
    }
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_activity");

/// Inserts rows that do not exist yet.
pub async fn insert_missing(tx: &Work, rows: &[NewRow]) -> Result<()> {
    for rows in rows.chunks(MAX_ROWS) {
        tx.execute_raw(INSERT.bind(tx.get_database_backend(), rows, [])?).await?;
    }
    Ok(())
}

/// That a person was active in an hour.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ActivePerson {
    /// The hour.
    pub hour: Timestamp,
    /// The game, or empty.
    pub game: String,
    /// The person's number.
    pub user_number: i64,
}

const COLUMNS: [Column; 3] = [Column::Hour, Column::Game, Column::UserNumber];

/// The condition of the partial index, written identically, so that both databases use the index.
fn is_unfolded() -> Expr {
    Expr::cust("NOT is_folded")
}

/// Marks up to `limit` rows as folded, and returns them.
pub async fn take_unfolded(tx: &Work, limit: u64) -> Result<Vec<ActivePerson>> {
    let batch = Entity::find()
        .select_only()
        .columns(COLUMNS)
        .filter(is_unfolded())
        .order_by_asc(Column::Hour)
        .limit(limit);
    let key = Expr::tuple(COLUMNS.map(Expr::col));
    let take = Query::update()
        .table(Entity)
        .value(Column::IsFolded, true)
        .and_where(key.in_subquery(batch.into_query()))
        .returning(Query::returning().columns(COLUMNS))
        .take();
    let rows = tx.query_all(&take).await?;
    Ok(rows
        .iter()
        .map(|row| ActivePerson::from_query_result(row, ""))
        .collect::<Result<_, DbErr>>()?)
}

/// The rows of a range of hours that are not folded.
pub async fn find_unfolded(
    db: &impl ConnectionTrait,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<ActivePerson>> {
    let rows = Entity::find().filter(is_unfolded());
    let rows = rows.filter(Column::Hour.gte(from)).filter(Column::Hour.lt(until));
    Ok(rows.select_only().columns(COLUMNS).into_model().all(db).await?)
}

/// The number of rows that are not folded, up to a limit.
pub async fn count_unfolded(db: &impl ConnectionTrait, limit: u64) -> Result<u64> {
    let rows = Entity::find().filter(is_unfolded()).limit(limit);
    Ok(rows.select_only().column(Column::Hour).count(db).await?)
}

/// The folded rows of a range of hours.
pub async fn find_folded(
    db: &impl ConnectionTrait,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<ActivePerson>> {
    let rows = Entity::find().filter(Column::IsFolded.eq(true));
    let rows = rows.filter(Column::Hour.gte(from)).filter(Column::Hour.lt(until));
    Ok(rows.select_only().columns(COLUMNS).into_model().all(db).await?)
}

/// Deletes the folded rows before a time.
pub async fn purge_before(platform: &Platform, time: Timestamp) -> Result<u64> {
    let is_old = Column::Hour.lt(time).and(Column::IsFolded.eq(true));
    // Pages are whole hours.
    purge::<Entity>(platform, Column::Hour, is_old).await
}
