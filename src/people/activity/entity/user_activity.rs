//! The user_activity table: who was active in which hour.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, Query, SelectStatement};
use sea_orm::{ExprTrait, FromQueryResult, QueryOrder, QueryResult, QuerySelect, QueryTrait};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::ids::{Id, UserId};
use crate::people::entity as users;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowSetSql, RowUuid, Work, row_set_sql, row_timestamp};
use crate::platform::jobs::purge_by_key;

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

impl ActivePerson {
    /// The person's number as a member of bitmaps.
    pub fn number(&self) -> Result<u32> {
        u32::try_from(self.user_number).map_err(Error::internal)
    }
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

/// Passes the rows of a range of hours that are not folded to a function, one at a time.
pub async fn for_each_unfolded(
    work: &Work,
    from: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(ActivePerson) -> Result<()> + Send,
) -> Result<()> {
    let rows = Entity::find().select_only().columns(COLUMNS).filter(is_unfolded());
    let rows = rows.filter(Column::Hour.gte(from)).filter(Column::Hour.lt(until));
    let each = |row: QueryResult| each(ActivePerson::from_query_result(&row, "")?);
    work.for_each_row(rows.build(work.get_database_backend()), each).await
}

/// The number of rows that are not folded, up to a limit.
pub async fn count_unfolded(db: &impl ConnectionTrait, limit: u64) -> Result<u64> {
    let rows = Entity::find().filter(is_unfolded()).limit(limit);
    Ok(rows.select_only().column(Column::Hour).count(db).await?)
}

/// Passes the rows of a range of hours to a function, one at a time, and whether they are folded.
pub async fn for_each_in(
    work: &Work,
    from: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(ActivePerson, bool) -> Result<()> + Send,
) -> Result<()> {
    let rows = Entity::find().filter(Column::Hour.gte(from)).filter(Column::Hour.lt(until));
    let each = |row: QueryResult| {
        let Model { hour, game, user_number, is_folded } = Model::from_query_result(&row, "")?;
        each(ActivePerson { hour, game, user_number }, is_folded)
    };
    work.for_each_row(rows.build(work.get_database_backend()), each).await
}

/// The first hour that has rows.
pub async fn find_first_hour(db: &impl ConnectionTrait) -> Result<Option<Timestamp>> {
    let first = Entity::find().order_by_asc(Column::Hour).limit(1);
    Ok(first.select_only().column(Column::Hour).into_tuple().one(db).await?)
}

/// Passes players to a function, one at a time. `plays` is a query with the columns hour, game and user_id.
pub async fn for_each_player(
    work: &Work,
    plays: SelectStatement,
    mut each: impl FnMut(ActivePerson) -> Result<()> + Send,
) -> Result<()> {
    let plays_alias = Alias::new("plays");
    let is_player = Expr::col((users::Entity, users::Column::Id))
        .equals((plays_alias.clone(), Alias::new("user_id")));
    let players = Query::select()
        .column((plays_alias.clone(), Column::Hour))
        .column((plays_alias.clone(), Column::Game))
        .expr_as(Expr::col((users::Entity, users::Column::Number)), Alias::new("user_number"))
        .from_subquery(plays, plays_alias)
        .inner_join(users::Entity, is_player)
        .take();
    let each = |row: QueryResult| each(ActivePerson::from_query_result(&row, "")?);
    work.for_each_row(work.get_database_backend().build(&players), each).await
}

/// Deletes the folded rows before a time.
pub async fn purge_before(platform: &Platform, time: Timestamp) -> Result<u64> {
    let is_old = Column::Hour.lt(time).and(Column::IsFolded.eq(true));
    purge_by_key::<Entity, 3>(platform, COLUMNS, is_old).await
}
