//! Reconciliation of sums with their source rows.
//!
//! Differences are found in a snapshot, without a lock, and added later. They stay right meanwhile: a change of rows is
//! recorded in the same transaction, and the fold job only moves what is recorded, so both sides change alike. Only
//! another correction would change a difference, and only one correction runs at a time.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::bucket::Bucket;
use super::delta::Delta;
use super::entity::deltas;
use super::entity::sums::{self, Addend};
use super::pages::page_conditions;
use super::read::start_sql;
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// How the rows of a table are counted.
#[derive(Clone, Debug)]
pub struct Source {
    /// The table.
    pub table: &'static str,
    /// Which rows, in SQL.
    pub condition: &'static str,
    /// The column with the time of the event. None: it is counted over all time only.
    pub time_column: Option<&'static str>,
    /// The dimension, in SQL.
    pub dimension: &'static str,
    /// What is counted, and its amount, in SQL.
    pub amounts: &'static [(&'static str, &'static str)],
}

impl Source {
    /// What is counted.
    pub fn measures(&self) -> Vec<&'static str> {
        self.amounts.iter().map(|(measure, _)| *measure).collect()
    }

    /// The measure with a name of the database.
    fn measure(&self, name: &str) -> Option<&'static str> {
        self.measures().into_iter().find(|measure| *measure == name)
    }

    /// A query of the amounts of a page of rows, with the columns hour, dimension, and each amount.
    fn page_sql(&self, backend: DbBackend, page: &str) -> String {
        let hour = match (self.time_column, backend) {
            (Some(column), _) => start_sql(backend, Bucket::Hour, column),
            (None, DbBackend::Postgres) => "CAST(NULL AS timestamptz)".to_owned(),
            (None, _) => "NULL".to_owned(),
        };
        let Self { table, condition, dimension, .. } = self;
        let amounts = self.amounts.iter().map(|(_, amount)| format!("CAST({amount} AS bigint)"));
        let amounts = amounts.collect::<Vec<_>>().join(", ");
        format!(
            "SELECT {hour}, {dimension}, {amounts} FROM {table} WHERE {page} AND {condition} GROUP BY 1, 2"
        )
    }
}

/// By how much a sum is too small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The start of the bucket. None: over all time only.
    pub start: Option<Timestamp>,
    /// What is counted.
    pub measure: String,
    /// Which kind of it.
    pub dimension: String,
    /// The amount that is missing, negative if there is too much.
    pub amount: i64,
}

/// Amounts by the start of their bucket, measure and dimension.
type Amounts<M> = BTreeMap<(Option<Timestamp>, M, String), i64>;

/// Finds the sums of hours before a time, and of all time, that differ from their source.
pub async fn find_differences(
    snapshot: &Work,
    source: &Source,
    until: Timestamp,
) -> Result<Vec<Difference>> {
    let backend = snapshot.get_database_backend();
    let mut missing: Amounts<&'static str> = BTreeMap::new();
    for page in page_conditions(snapshot, source.table).await? {
        let statement = Statement::from_string(backend, source.page_sql(backend, &page));
        let count = |row: QueryResult| {
            let start: Option<Timestamp> = row.try_get_by_index(0)?;
            let dimension: String = row.try_get_by_index(1)?;
            for (index, measure) in source.measures().into_iter().enumerate() {
                let amount: i64 = row.try_get_by_index(2 + index)?;
                *missing.entry((start, measure, dimension.clone())).or_default() += amount;
            }
            Ok(())
        };
        snapshot.for_each_row(statement, count).await?;
    }
    let measures: Vec<String> =
        source.amounts.iter().map(|(measure, _)| format!("'{measure}'")).collect();
    let measures = measures.join(", ");
    let recorded = format!(
        "SELECT CASE bucket WHEN 'HOUR' THEN start END, measure, dimension, amount
         FROM statistics WHERE bucket IN ('HOUR', 'ALL') AND measure IN ({measures})
         UNION ALL
         SELECT hour, measure, dimension, amount
         FROM statistic_deltas WHERE measure IN ({measures})"
    );
    let subtract = |row: QueryResult| {
        let name: String = row.try_get_by_index(1)?;
        if let Some(measure) = source.measure(&name) {
            let key = (row.try_get_by_index(0)?, measure, row.try_get_by_index(2)?);
            *missing.entry(key).or_default() -= row.try_get_by_index::<i64>(3)?;
        }
        Ok(())
    };
    snapshot.for_each_row(Statement::from_string(backend, recorded), subtract).await?;
    missing.retain(|(start, ..), _| start.is_none_or(|start| start < until));
    Ok(differences_of(missing))
}

fn differences_of<M: Into<String>>(missing: Amounts<M>) -> Vec<Difference> {
    let differing = missing.into_iter().filter(|(_, amount)| *amount != 0);
    let difference = |((start, measure, dimension), amount)| {
        let measure = M::into(measure);
        Difference { start, measure, dimension, amount }
    };
    differing.map(difference).collect()
}

/// Adds what is missing in hours and of all time. The fold job adds it to days and months too.
pub async fn add_differences(
    tx: &Work,
    platform: &Platform,
    source: &Source,
    differences: &[Difference],
) -> Result<()> {
    let delta = |difference: &Difference| {
        let measure = source.measure(&difference.measure)?;
        let Difference { start, dimension, amount, .. } = difference.clone();
        Some(Delta { measure, dimension, hour: start, amount })
    };
    let deltas: Vec<Delta> = differences.iter().filter_map(delta).collect();
    deltas::insert_many(tx, platform, &deltas).await
}

/// Finds the days and months whose sums differ from those of their hours.
pub async fn find_sum_differences(snapshot: &Work) -> Result<[(Bucket, Vec<Difference>); 2]> {
    let (mut days, mut months) = (BTreeMap::new(), BTreeMap::new());
    let sql = "SELECT bucket, start, measure, dimension, amount
        FROM statistics WHERE bucket IN ('HOUR', 'DAY', 'MONTH')";
    let compare = |row: QueryResult| {
        let bucket: String = row.try_get_by_index(0)?;
        let (start, amount): (Timestamp, i64) =
            (row.try_get_by_index(1)?, row.try_get_by_index(4)?);
        let (measure, dimension): (String, String) =
            (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let add = |bucket: Bucket, missing: &mut Amounts<String>, amount| {
            let key = (Some(bucket.start_of(start)), measure.clone(), dimension.clone());
            *missing.entry(key).or_default() += amount;
        };
        match Bucket::named(&bucket) {
            Some(Bucket::Hour) => {
                add(Bucket::Day, &mut days, amount);
                add(Bucket::Month, &mut months, amount);
            }
            Some(Bucket::Day) => add(Bucket::Day, &mut days, -amount),
            Some(Bucket::Month) => add(Bucket::Month, &mut months, -amount),
            _ => return Err(Error::internal("a sum has an unknown bucket")),
        }
        Ok(())
    };
    let statement = Statement::from_string(snapshot.get_database_backend(), sql);
    snapshot.for_each_row(statement, compare).await?;
    Ok([(Bucket::Day, differences_of(days)), (Bucket::Month, differences_of(months))])
}

/// Adds what is missing to the sums of days or months.
pub async fn add_to_sums(tx: &Work, bucket: Bucket, differences: &[Difference]) -> Result<()> {
    let addend = |difference: &Difference| {
        let Difference { start, measure, dimension, amount } = difference.clone();
        Addend::new(start.map(|start| (bucket, start)), (measure, dimension), amount)
    };
    let addends: Vec<Addend> = differences.iter().map(addend).collect();
    sums::add_many(tx, &addends).await
}
