//! Corrections: what sums differ from a count of the rows that they stand for.
//!
//! A difference is found by one statement and added as a delta, so nobody needs to wait: what is recorded meanwhile is
//! in neither side of the comparison.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::bucket::Bucket;
use super::delta::Delta;
use super::entity::deltas;
use super::entity::sums::{self, Addend};
use super::read::start_sql;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{TransactionLock, Work};

/// How the rows of a table are counted.
#[derive(Clone, Debug)]
pub struct Source {
    /// What is counted.
    pub measures: &'static [&'static str],
    /// A query with the columns hour (null: over all time only), measure, dimension and amount.
    pub sql: String,
}

impl Source {
    /// A source whose rows have the time of their event in a column. `rows` are a table and perhaps a condition.
    pub fn new(
        backend: DbBackend,
        time_column: &str,
        sums: &[(&'static str, &str, &str)],
        rows: &str,
        measures: &'static [&'static str],
    ) -> Self {
        let hour = start_sql(backend, Bucket::Hour, time_column);
        let query = |(measure, dimension, amount): &(&str, &str, &str)| {
            format!(
                "SELECT {hour} AS hour, '{measure}' AS measure, {dimension} AS dimension,
                    CAST({amount} AS bigint) AS amount
                 FROM {rows} GROUP BY 1, 3"
            )
        };
        Self { measures, sql: sums.iter().map(query).collect::<Vec<_>>().join(" UNION ALL ") }
    }
}

/// By how much a sum is too small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The hour. None: over all time only.
    pub hour: Option<Timestamp>,
    /// What is counted.
    pub measure: String,
    /// Which kind of it.
    pub dimension: String,
    /// The amount that is missing, negative if there is too much.
    pub amount: i64,
}

/// Finds the sums of hours before a time, and of all time, that differ from their source. No other correction can run until
/// the transaction ends.
pub async fn find_differences(
    tx: &Work,
    source: &Source,
    until: Timestamp,
) -> Result<Vec<Difference>> {
    tx.lock_exclusively(TransactionLock::Statistics).await?;
    let measures: Vec<String> =
        source.measures.iter().map(|measure| format!("'{measure}'")).collect();
    let (backend, source) = (tx.get_database_backend(), &source.sql);
    let measures = measures.join(", ");
    let until_parameter = if backend == DbBackend::Postgres { "$1" } else { "?1" };
    let sql = format!(
        "SELECT hour, measure, dimension, CAST(SUM(amount) AS bigint) FROM (
             SELECT hour, measure, dimension, amount FROM ({source}) AS source
             UNION ALL
             SELECT CASE bucket WHEN 'HOUR' THEN start END, measure, dimension, -amount
             FROM statistics WHERE bucket IN ('HOUR', 'ALL') AND measure IN ({measures})
             UNION ALL
             SELECT hour, measure, dimension, -amount
             FROM statistic_deltas WHERE measure IN ({measures})
         ) AS counted
         WHERE hour IS NULL OR hour < {until_parameter}
         GROUP BY hour, measure, dimension HAVING SUM(amount) <> 0
         ORDER BY hour, measure, dimension"
    );
    let statement = Statement::from_sql_and_values(backend, sql, [until.into()]);
    let rows = tx.query_all_raw(statement).await?;
    let difference = |row: &QueryResult| {
        Ok(Difference {
            hour: row.try_get_by_index(0)?,
            measure: row.try_get_by_index(1)?,
            dimension: row.try_get_by_index(2)?,
            amount: row.try_get_by_index(3)?,
        })
    };
    rows.iter().map(difference).collect()
}

/// Adds what is missing.
pub async fn add_differences(
    tx: &Work,
    platform: &Platform,
    source: &Source,
    differences: &[Difference],
) -> Result<()> {
    let delta = |difference: &Difference| {
        let mut measures = source.measures.iter();
        let measure = measures.find(|measure| **measure == difference.measure)?;
        let Difference { hour, dimension, amount, .. } = difference.clone();
        Some(Delta { measure, dimension, hour, amount })
    };
    let deltas: Vec<Delta> = differences.iter().filter_map(delta).collect();
    deltas::insert_many(tx, platform, &deltas).await
}

/// Corrects the days or months whose sums differ from those of their hours. Returns what was missing, with the start of
/// the day or month in place of the hour.
pub async fn correct_sums(tx: &Work, bucket: Bucket) -> Result<Vec<Difference>> {
    tx.lock_exclusively(TransactionLock::Statistics).await?;
    let backend = tx.get_database_backend();
    let (name, start) = (bucket.as_str(), start_sql(backend, bucket, "start"));
    let sql = format!(
        "SELECT start, measure, dimension, CAST(SUM(amount) AS bigint) FROM (
             SELECT {start} AS start, measure, dimension, amount FROM statistics WHERE bucket = 'HOUR'
             UNION ALL
             SELECT start, measure, dimension, -amount FROM statistics WHERE bucket = '{name}'
         ) AS counted
         GROUP BY start, measure, dimension HAVING SUM(amount) <> 0
         ORDER BY start, measure, dimension"
    );
    let rows = tx.query_all_raw(Statement::from_string(backend, sql)).await?;
    let (mut differences, mut addends) = (Vec::new(), Vec::new());
    for row in rows {
        let start: Timestamp = row.try_get_by_index(0)?;
        let (measure, dimension): (String, String) =
            (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let amount = row.try_get_by_index(3)?;
        let missing_in = Some((bucket, start));
        addends.push(Addend::new(missing_in, (measure.clone(), dimension.clone()), amount));
        differences.push(Difference { hour: Some(start), measure, dimension, amount });
    }
    sums::add_many(tx, &addends).await?;
    Ok(differences)
}
