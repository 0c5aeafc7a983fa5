//! The statistics table: sums by measure, dimension, and hour, day, month or all time.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::error::Result;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowSetSql, Work, row_set_sql, row_timestamp};
use crate::platform::statistics::bucket::Bucket;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "statistics")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub bucket: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub start: Timestamp,
    #[sea_orm(primary_key, auto_increment = false)]
    pub measure: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub dimension: String,
    pub amount: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The bucket of what is counted over all time only. Its only start is the epoch.
pub const ALL_TIME: &str = "ALL";

/// An amount that is added to a sum.
#[derive(Clone, Debug, Serialize)]
pub struct Addend {
    bucket: &'static str,
    start: String,
    measure: String,
    dimension: String,
    amount: i64,
}

impl Addend {
    /// An amount of a bucket. None: of all time.
    pub fn new(
        bucket: Option<(Bucket, Timestamp)>,
        (measure, dimension): (String, String),
        amount: i64,
    ) -> Self {
        let (bucket, start) = match bucket {
            Some((bucket, start)) => (bucket.as_str(), start),
            None => (ALL_TIME, Timestamp::UNIX_EPOCH),
        };
        Self { bucket, start: row_timestamp(start), measure, dimension, amount }
    }
}

const ADD: RowSetSql = row_set_sql!("sql/add_sums");

/// Adds amounts to sums, each of which must be different.
pub async fn add_many(tx: &Work, addends: &[Addend]) -> Result<()> {
    for addends in addends.chunks(MAX_ROWS) {
        tx.execute_raw(ADD.bind(tx.get_database_backend(), addends, [])?).await?;
    }
    Ok(())
}
