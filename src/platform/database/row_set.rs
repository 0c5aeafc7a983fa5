//! Statements on sets of rows, written by hand for each database. All rows are one parameter, a JSON array: a statement
//! has the same text for any number of rows, and no limit of parameters. On SQLite the array goes through `jsonb_each`:
//! with `json_each`, each column would parse the text of its row again.

use chrono::SecondsFormat;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::unit_of_work::Work;
use crate::error::{Error, Result};
use crate::platform::clock::Timestamp;

/// Maximum number of rows of one statement, which keeps its parameter to a few megabytes.
pub const MAX_ROWS: usize = 5_000;

/// Makes PostgreSQL plan the statements of a transaction each time. A plan that it kept from when a table was small would
/// read the whole table for each row of a set.
pub async fn plan_each_statement(tx: &Work) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SET LOCAL plan_cache_mode = force_custom_plan").await?;
    }
    Ok(())
}

/// The text of a statement in the dialects of both databases. Parameter 1 is the JSON array of the rows.
#[derive(Clone, Copy, Debug)]
pub struct RowSetSql {
    /// For PostgreSQL.
    pub postgres: &'static str,
    /// For SQLite.
    pub sqlite: &'static str,
}

/// Includes the two files of a statement: `<path>.postgres.sql` and `<path>.sqlite.sql`.
macro_rules! row_set_sql {
    ($path:literal) => {
        $crate::platform::database::RowSetSql {
            postgres: include_str!(concat!($path, ".postgres.sql")),
            sqlite: include_str!(concat!($path, ".sqlite.sql")),
        }
    };
}
pub(crate) use row_set_sql;

/// A UUID in the JSON of rows: 32 hexadecimal digits, which both databases can read.
#[derive(Clone, Copy, Debug)]
pub struct RowUuid(pub Uuid);

impl Serialize for RowUuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.simple().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// A time in the JSON of rows, as sqlx writes it into SQLite: RFC 3339.
pub fn row_timestamp(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

impl RowSetSql {
    /// The statement for these rows. Parameters 2, 3, ... are the values.
    pub fn bind<const N: usize>(
        self,
        backend: DbBackend,
        rows: &[impl Serialize],
        values: [Value; N],
    ) -> Result<Statement> {
        let sql = match backend {
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        };
        let rows = serde_json::to_string(rows).map_err(Error::internal)?;
        let values = std::iter::once(rows.into()).chain(values);
        Ok(Statement::from_sql_and_values(backend, sql, values))
    }
}
