//! A connection to SQLite or PostgreSQL, with the same methods for both.

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
    Sqlite(SqliteConnection),
    /// To a PostgreSQL server.
    Postgres {
        /// The connection of sqlx.
        inner: PgConnection,
        /// Whether statements stay prepared. Not behind a pooler, which switches servers between transactions.
        caches_statements: bool,
    },
}

impl Connection {
    /// Runs a statement to completion.
    pub async fn execute(&mut self, statement: Statement) -> Result<ExecResult, Error> {
        let (sql, values) = split_statement(statement);
        match self {
            Self::Sqlite(inner) => {
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
            Self::Sqlite(inner) => {
                let query = query_with::<Sqlite, _>(sql, values);
                Ok(inner.fetch_all(query).await?.into_iter().map(Into::into).collect())
            }
            Self::Postgres { inner, caches_statements } => {
                let query = query_with::<Postgres, _>(sql, values).persistent(*caches_statements);
                Ok(inner.fetch_all(query).await?.into_iter().map(Into::into).collect())
            }
        }
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
            Self::Sqlite(inner) => Ok(inner.execute(sql).await?.into()),
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
