//! One connection to either database, with the same calls for both.

use sea_orm::sea_query::Values;
use sea_orm::sqlx::postgres::{PgConnection, Postgres};
use sea_orm::sqlx::sqlite::{Sqlite, SqliteConnection};
use sea_orm::sqlx::{AssertSqlSafe, Error, Executor, query_with};
use sea_orm::{ExecResult, QueryResult, Statement};
use sea_query_sqlx::SqlxValues;

/// A connection.
#[derive(Debug)]
pub enum Connection {
    /// To a SQLite file, or SQLite in memory.
    Sqlite(SqliteConnection),
    /// To a PostgreSQL server.
    Postgres {
        /// sqlx's own.
        inner: PgConnection,
        /// Whether statements stay prepared: not behind a pooler that changes servers.
        keeps_statements: bool,
    },
}

impl Connection {
    /// Runs a statement, to its end.
    pub async fn execute(&mut self, statement: Statement) -> Result<ExecResult, Error> {
        let (sql, values) = split(statement);
        match self {
            Self::Sqlite(inner) => {
                let query = query_with::<Sqlite, _>(sql, values);
                Ok(inner.execute(query).await?.into())
            }
            Self::Postgres { inner, keeps_statements } => {
                let query = query_with::<Postgres, _>(sql, values).persistent(*keeps_statements);
                Ok(inner.execute(query).await?.into())
            }
        }
    }

    /// All rows of a statement.
    pub async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, Error> {
        let (sql, values) = split(statement);
        match self {
            Self::Sqlite(inner) => {
                let query = query_with::<Sqlite, _>(sql, values);
                Ok(inner.fetch_all(query).await?.into_iter().map(Into::into).collect())
            }
            Self::Postgres { inner, keeps_statements } => {
                let query = query_with::<Postgres, _>(sql, values).persistent(*keeps_statements);
                Ok(inner.fetch_all(query).await?.into_iter().map(Into::into).collect())
            }
        }
    }

    /// The first row of a statement, which runs to its end: on SQLite a single `INSERT … RETURNING` commits
    /// after its last row, and only then says whether it could.
    pub async fn fetch_first(
        &mut self,
        statement: Statement,
    ) -> Result<Option<QueryResult>, Error> {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// Runs SQL without values, unprepared. It may hold several statements.
    pub async fn command(&mut self, sql: &str) -> Result<ExecResult, Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(inner) => Ok(inner.execute(sql).await?.into()),
            Self::Postgres { inner, .. } => Ok(inner.execute(sql).await?.into()),
        }
    }

    /// The same, as a statement of SeaORM's.
    pub async fn execute_unprepared(&mut self, statement: Statement) -> Result<ExecResult, Error> {
        self.command(&statement.sql).await
    }
}

fn split(statement: Statement) -> (AssertSqlSafe<String>, SqlxValues) {
    let Statement { sql, values, .. } = statement;
    (AssertSqlSafe(sql), SqlxValues(values.unwrap_or(Values(Vec::new()))))
}
