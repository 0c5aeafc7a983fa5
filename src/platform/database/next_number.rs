//! Dense numbers that the database gives to new rows.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::Work;

/// The number of the next row of a table. PostgreSQL has a sequence for the column; a number is left out if its
/// transaction does not commit. SQLite has one writer at a time, and takes the next after the highest.
pub async fn next_number(
    tx: &Work,
    table: &'static str,
    column: &'static str,
) -> Result<i64, DbErr> {
    let backend = tx.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            format!("SELECT nextval(pg_get_serial_sequence('{table}', '{column}'))")
        }
        _ => format!("SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}"),
    };
    let row = tx.query_one_raw(Statement::from_string(backend, sql)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(table.to_owned()))?.try_get_by_index(0)
}
