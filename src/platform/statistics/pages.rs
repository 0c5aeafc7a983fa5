//! Pages of a table in the order in which its rows are stored: each is read by one short statement, without an index and
//! whatever the key. Within one snapshot, the pages have each row once.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::error::Result;
use crate::platform::database::Work;

/// Blocks of PostgreSQL in a page: 32 MB.
const PAGE_BLOCKS: i64 = 4_096;
/// Row numbers of SQLite in a page.
const PAGE_ROWS: i64 = 50_000;

/// The conditions, in SQL, that the rows of each page meet.
pub async fn page_conditions(snapshot: &Work, table: &str) -> Result<Vec<String>> {
    let backend = snapshot.get_database_backend();
    let (size, page_size) = match backend {
        // The size of now, which includes all rows of the snapshot.
        DbBackend::Postgres => (
            format!("SELECT pg_relation_size('{table}') / current_setting('block_size')::bigint"),
            PAGE_BLOCKS,
        ),
        _ => (format!("SELECT COALESCE(MAX(rowid), 0) + 1 FROM {table}"), PAGE_ROWS),
    };
    let row = snapshot.query_one_raw(Statement::from_string(backend, size)).await?;
    let size: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    let condition = |page| {
        let (first, next) = (page * page_size, (page + 1) * page_size);
        match backend {
            DbBackend::Postgres => format!("ctid >= '({first},0)' AND ctid < '({next},0)'"),
            _ => format!("rowid >= {first} AND rowid < {next}"),
        }
    };
    Ok((0..=size / page_size).map(condition).collect())
}
