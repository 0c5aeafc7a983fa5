//! A connection to SQLite or PostgreSQL, with the same methods for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt;
use sea_orm::sea_query::Values;
use sea_orm::sqlx::postgres::{PgConnection, Postgres};
use sea_orm::sqlx::sqlite::{Sqlite, SqliteConnection};
use sea_orm::sqlx::{AssertSqlSafe, Error, Executor, query_with};
use sea_orm::{ExecResult, QueryResult, Statement};
use sea_query_sqlx::SqlxValues;

/// A connection to a database.
#[derive(Debug)]
pub enum Connection {
    /// To a SQLite file, or SQLite in memory.
    Sqlite {
        /// The connection of sqlx.
        inner: SqliteConnection,
        /// Set to interrupt the running statement, after which the connection is of no use. None if it cannot be.
        interrupted: Option<Arc<AtomicBool>>,
    },
    /// To a PostgreSQL server.
    Postgres {
        /// The connection of sqlx.
        inner: PgConnection,
        /// Whether statements stay prepared. Not behind a pooler, which switches servers between transactions.
        caches_statements: bool,
    },
}

/// Number of SQLite's instructions between two checks whether a statement was interrupted. It is some 50 µs of work.
const INSTRUCTIONS_PER_CHECK: i32 = 10_000;

impl Connection {
    /// Wraps a connection to SQLite whose statements can be interrupted.
    pub async fn interruptible_sqlite(mut inner: SqliteConnection) -> Result<Self, Error> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = interrupted.clone();
        let goes_on = move || !flag.load(Ordering::Relaxed);
        inner.lock_handle().await?.set_progress_handler(INSTRUCTIONS_PER_CHECK, goes_on);
        Ok(Self::Sqlite { inner, interrupted: Some(interrupted) })
    }

    /// Interrupts the running statement of SQLite, which otherwise ends no sooner than it is complete. Returns whether
    /// that is possible. The connection is of no use afterwards. A server cancels a statement when the connection closes.
    pub fn interrupt(&self) -> bool {
        let Self::Sqlite { interrupted: Some(interrupted), .. } = self else { return false };
        interrupted.store(true, Ordering::Relaxed);
        true
    }

    /// Runs a statement to completion.
    pub async fn execute(&mut self, statement: Statement) -> Result<ExecResult, Error> {
        let (sql, values) = split_statement(statement);
        match self {
            Self::Sqlite { inner, .. } => {
                let query = query_with::<Sqlite, _>(sql, values);
                Ok(inner.execute(query).await?.into())
            }
            Self::Postgres { inner, caches_statements } => {
                let query = query_with::<Postgres, _>(sql, values).persistent(*caches_statements);
                Ok(inner.execute(query).await?.into())
            }
        }
    }

    /// Returns all rows of a statement.
    pub async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, Error> {
        let (sql, values) = split_statement(statement);
        match self {
            Self::Sqlite { inner, .. } => {
                let query = query_with::<Sqlite, _>(sql, values);
                Ok(inner.fetch_all(query).await?.into_iter().map(Into::into).collect())
            }
            Self::Postgres { inner, caches_statements } => {
                let query = query_with::<Postgres, _>(sql, values).persistent(*caches_statements);
                Ok(inner.fetch_all(query).await?.into_iter().map(Into::into).collect())
            }
        }
    }

    /// Passes each row of a statement to a function as it arrives.
    pub async fn for_each(
        &mut self,
        statement: Statement,
        mut each: impl FnMut(QueryResult),
    ) -> Result<(), Error> {
        let (sql, values) = split_statement(statement);
        match self {
            Self::Sqlite { inner, .. } => {
                let mut rows = inner.fetch(query_with::<Sqlite, _>(sql, values));
                while let Some(row) = rows.try_next().await? {
                    each(row.into());
                }
            }
            Self::Postgres { inner, caches_statements } => {
                let query = query_with::<Postgres, _>(sql, values).persistent(*caches_statements);
                let mut rows = inner.fetch(query);
                while let Some(row) = rows.try_next().await? {
                    each(row.into());
                }
            }
        }
        Ok(())
    }

    /// Returns the first row of a statement. Still runs it to completion: on SQLite a single `INSERT … RETURNING`
    /// commits after its last row, so only then is it known to be stored.
    pub async fn fetch_first(
        &mut self,
        statement: Statement,
    ) -> Result<Option<QueryResult>, Error> {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// Runs one or several statements without parameters, unprepared.
    pub async fn execute_sql(&mut self, sql: &str) -> Result<ExecResult, Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite { inner, .. } => Ok(inner.execute(sql).await?.into()),
            Self::Postgres { inner, .. } => Ok(inner.execute(sql).await?.into()),
        }
    }

    /// Runs a SeaORM statement without parameters, unprepared.
    pub async fn execute_unprepared(&mut self, statement: Statement) -> Result<ExecResult, Error> {
        self.execute_sql(&statement.sql).await
    }
}

fn split_statement(statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
    let Statement { sql, values, .. } = statement;
    (AssertSqlSafe(sql), SqlxValues(values.unwrap_or(Values(Vec::new()))))
}
