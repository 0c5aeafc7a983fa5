//! Reads of sums, together with what is not folded yet. Each is one statement, so it sees every event once.

use std::collections::HashMap;

use sea_orm::sea_query::{
    Alias, CaseStatement, Expr, ExprTrait, Func, Order, Query, SelectStatement, UnionType,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use super::bucket::{Bucket, split_range};
use super::entity::deltas::{Column as StatisticDeltas, Entity as DeltasTable};
use super::entity::sums::{ALL_TIME, Column as Statistics, Entity as StatisticsTable};
use crate::error::Result;
use crate::platform::clock::Timestamp;

/// A column of a series: a sum of a measure.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What is counted.
    pub measure: &'static str,
    /// Which kinds of it. Empty: all.
    pub dimensions: &'static [&'static str],
}

impl Column {
    /// All kinds of a measure.
    pub const fn all(measure: &'static str) -> Self {
        Self { measure, dimensions: &[] }
    }

    fn matches(self) -> Expr {
        let measure = Expr::col(Statistics::Measure).eq(self.measure);
        match self.dimensions {
            [] => measure,
            kinds => measure.and(Expr::col(Statistics::Dimension).is_in(kinds.iter().copied())),
        }
    }
}

/// Sums by measure and dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(HashMap<(String, String), i64>);

impl Sums {
    /// The sum of one kind of a measure.
    pub fn of(&self, measure: &str, dimension: &str) -> i64 {
        self.0.get(&(measure.to_owned(), dimension.to_owned())).copied().unwrap_or_default()
    }

    /// The sum of all kinds of a measure.
    pub fn total(&self, measure: &str) -> i64 {
        self.0.iter().filter(|((name, _), _)| name == measure).map(|(_, amount)| amount).sum()
    }
}

/// The columns of each bucket of a range that has any amount, in order of time. The range is whole buckets.
pub async fn read_series(
    db: &impl ConnectionTrait,
    bucket: Bucket,
    (from, until): (Timestamp, Timestamp),
    columns: &[Column],
) -> Result<Vec<(Timestamp, Vec<i64>)>> {
    let backend = db.get_database_backend();
    // Weeks are not stored, and their days are not those of months.
    let (stored, start) = match bucket {
        Bucket::Week => (Bucket::Day, start_of(backend, bucket, "start")),
        stored => (stored, Expr::col(Statistics::Start)),
    };
    let mut counted = stored_sums(stored, from, until);
    counted.expr_as(start, Alias::new("point"));
    let mut waiting = waiting_deltas(from, until);
    waiting.expr_as(start_of(backend, bucket, "hour"), Alias::new("point"));
    counted.union(UnionType::All, waiting);
    let mut query = Query::select();
    query.column(Alias::new("point")).from_subquery(counted, Alias::new("counted"));
    for column in columns {
        let amount = CaseStatement::new().case(column.matches(), Expr::col(Statistics::Amount));
        query.expr(Func::coalesce([sum(amount.into()), Expr::value(0_i64)]));
    }
    query.add_group_by([Expr::col(Alias::new("point"))]);
    query.order_by(Alias::new("point"), Order::Asc);
    let rows = db.query_all(&query).await?;
    let point = |row: &QueryResult| {
        let amounts = (1..=columns.len()).map(|index| row.try_get_by_index(index));
        Ok((row.try_get_by_index(0)?, amounts.collect::<Result<_, DbErr>>()?))
    };
    rows.iter().map(point).collect()
}

/// The sums of a range of whole hours. `measures` are those to read.
pub async fn read_sums(
    db: &impl ConnectionTrait,
    (from, until): (Timestamp, Timestamp),
    measures: &[&'static str],
) -> Result<Sums> {
    let columns = [Statistics::Measure, Statistics::Dimension, Statistics::Amount];
    let mut counted = waiting_deltas(from, until);
    for piece in split_range(from, until, &[Bucket::Month, Bucket::Day, Bucket::Hour]) {
        counted.union(UnionType::All, stored_sums(piece.bucket, piece.from, piece.until));
    }
    let mut query = Query::select();
    query.columns([columns[0], columns[1]]).expr(sum(Expr::col(columns[2])));
    query.from_subquery(counted, Alias::new("counted"));
    query.and_where(Expr::col(Statistics::Measure).is_in(measures.iter().copied()));
    query.add_group_by([Expr::col(columns[0]), Expr::col(columns[1])]);
    let rows = db.query_all(&query).await?;
    let named = |row: &QueryResult| {
        let name = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((name, row.try_get_by_index(2)?))
    };
    Ok(Sums(rows.iter().map(named).collect::<Result<_>>()?))
}

/// The sums of these kinds of measures that are counted over all time only.
pub async fn read_totals_of_all_time(
    db: &impl ConnectionTrait,
    measures: &[&'static str],
    dimensions: &[String],
) -> Result<Sums> {
    let is_requested = || {
        let is_measure = Expr::col(Statistics::Measure).is_in(measures.iter().copied());
        is_measure.and(Expr::col(Statistics::Dimension).is_in(dimensions.iter().cloned()))
    };
    let columns = [Statistics::Measure, Statistics::Dimension, Statistics::Amount];
    let mut counted = Query::select();
    counted.columns(columns).from(StatisticsTable);
    counted.and_where(Expr::col(Statistics::Bucket).eq(ALL_TIME));
    counted.and_where(Expr::col(Statistics::Start).eq(Timestamp::UNIX_EPOCH));
    counted.and_where(is_requested());
    let mut waiting = Query::select();
    waiting.columns(columns).from(DeltasTable);
    waiting.and_where(Expr::col(StatisticDeltas::Hour).is_null()).and_where(is_requested());
    counted.union(UnionType::All, waiting);
    let rows = db.query_all(&counted).await?;
    let mut sums = Sums::default();
    for row in rows {
        let name = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        *sums.0.entry(name).or_default() += row.try_get_by_index::<i64>(2)?;
    }
    Ok(sums)
}

fn stored_sums(bucket: Bucket, from: Timestamp, until: Timestamp) -> SelectStatement {
    let mut query = Query::select();
    query
        .columns([Statistics::Measure, Statistics::Dimension, Statistics::Amount])
        .from(StatisticsTable)
        .and_where(Expr::col(Statistics::Bucket).eq(bucket.as_str()))
        .and_where(Expr::col(Statistics::Start).gte(from))
        .and_where(Expr::col(Statistics::Start).lt(until));
    query
}

fn waiting_deltas(from: Timestamp, until: Timestamp) -> SelectStatement {
    let mut query = Query::select();
    query
        .columns([Statistics::Measure, Statistics::Dimension, Statistics::Amount])
        .from(DeltasTable)
        .and_where(Expr::col(StatisticDeltas::Hour).gte(from))
        .and_where(Expr::col(StatisticDeltas::Hour).lt(until));
    query
}

/// Cast, because PostgreSQL's sum of integers is a decimal.
fn sum(amount: Expr) -> Expr {
    Func::cast_as(Func::sum(amount), Alias::new("bigint")).into()
}

/// The start of the bucket that contains the time in a column.
pub fn start_of(backend: DbBackend, bucket: Bucket, column: &str) -> Expr {
    Expr::cust(start_sql(backend, bucket, column))
}

/// As [`start_of`], as SQL.
pub fn start_sql(backend: DbBackend, bucket: Bucket, column: &str) -> String {
    match (backend, bucket) {
        (DbBackend::Postgres, _) => {
            let unit = bucket.as_str().to_lowercase();
            format!("date_trunc('{unit}', {column}, 'UTC')")
        }
        (_, Bucket::Hour) => format!("substr({column}, 1, 13) || ':00:00+00:00'"),
        (_, Bucket::Day) => format!("substr({column}, 1, 10) || 'T00:00:00+00:00'"),
        (_, Bucket::Week) => {
            format!("date({column}, '-6 days', 'weekday 1') || 'T00:00:00+00:00'")
        }
        (_, Bucket::Month) => format!("substr({column}, 1, 7) || '-01T00:00:00+00:00'"),
    }
}

/// The number of deltas that were ever recorded. It grows with each change.
pub async fn count_changes(db: &impl ConnectionTrait) -> Result<i64> {
    let sql = "SELECT CAST(COALESCE(SUM(changes), 0) AS bigint) FROM (
            SELECT COUNT(*) AS changes FROM statistic_deltas
            UNION ALL
            SELECT amount FROM statistics WHERE bucket = 'ALL' AND measure = 'folded_deltas'
        ) AS counted";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await?;
    row.map_or(Ok(0), |row| Ok(row.try_get_by_index(0)?))
}
