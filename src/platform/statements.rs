//! Single statements, outside of transactions.
//!
//! PostgreSQL's go over connections of their own, not over sqlx's pool: that one asks the server whether a
//! connection lives each time it comes back, which is one more round trip for every statement. Here a
//! connection goes back as it is when its statement came to its end, and is thrown away otherwise.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use sea_orm::sea_query::Values;
use sea_orm::sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, Executor};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};
use sea_query_sqlx::SqlxValues;

/// A connection that has been idle for so long is tried before it is used.
pub const TRIED_AFTER_IDLE: Duration = Duration::from_secs(30);

/// Where single statements go.
#[derive(Clone, Debug)]
pub enum Statements {
    /// SQLite's: no server, so no round trips.
    Sqlite(DatabaseConnection),
    /// PostgreSQL's.
    Postgres(Pool<Connections>),
}

impl Statements {
    /// Connections to a PostgreSQL server, made when they are needed.
    pub fn postgres(options: PgConnectOptions, most: usize, within: Duration) -> Self {
        let pool = Pool::builder(Connections(options))
            .max_size(most)
            .wait_timeout(Some(within))
            .create_timeout(Some(within))
            .recycle_timeout(Some(within))
            .runtime(Runtime::Tokio1)
            .build();
        Self::Postgres(pool.expect("a pool with timeouts has a runtime"))
    }

    /// Ends every connection: whoever asks afterwards is refused.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(connection) => drop(connection.clone().close().await),
            Self::Postgres(pool) => pool.close(),
        }
    }
}

/// Makes connections and tries those that were idle.
#[derive(Debug)]
pub struct Connections(PgConnectOptions);

/// A connection, and whether its last statement came to its end.
#[derive(Debug)]
pub struct Line {
    connection: PgConnection,
    is_free: bool,
}

impl managed::Manager for Connections {
    type Type = Line;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Line, sqlx::Error> {
        Ok(Line { connection: PgConnection::connect_with(&self.0).await?, is_free: true })
    }

    async fn recycle(&self, line: &mut Line, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if !line.is_free {
            return Err(RecycleError::message("its last statement was left"));
        }
        if metrics.last_used() > TRIED_AFTER_IDLE {
            line.connection.ping().await?;
        }
        Ok(())
    }
}

/// Runs one statement. A connection that is broken, or left before its end, does not come back.
async fn run<T>(
    pool: &Pool<Connections>,
    statement: Statement,
    fetch: impl AsyncFnOnce(
        &mut PgConnection,
        sqlx::query::Query<'_, sqlx::Postgres, PgArguments>,
    ) -> Result<T, sqlx::Error>,
) -> Result<T, DbErr> {
    let mut line = pool.get().await.map_err(not_acquired)?;
    line.is_free = false;
    let Statement { sql, values, .. } = statement;
    let values = SqlxValues(values.unwrap_or(Values(Vec::new())));
    let arguments = sqlx::IntoArguments::<sqlx::Postgres>::into_arguments(values);
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
    let fetched = fetch(&mut line.connection, query).await;
    // What the server itself refuses leaves the connection as it was.
    match &fetched {
        Ok(_) | Err(sqlx::Error::Database(_) | sqlx::Error::RowNotFound) => line.is_free = true,
        Err(_) => drop(Object::take(line)),
    }
    fetched.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
}

fn not_acquired(error: PoolError<sqlx::Error>) -> DbErr {
    match error {
        PoolError::Backend(error) => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
        PoolError::Closed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        _ => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
    }
}

#[async_trait]
impl ConnectionTrait for Statements {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(connection) => connection.get_database_backend(),
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(connection) => connection.execute_raw(statement).await,
            Self::Postgres(pool) => {
                let done = run(pool, statement, async |on, query| on.execute(query).await).await?;
                Ok(done.into())
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(self.get_database_backend(), sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(connection) => connection.query_one_raw(statement).await,
            Self::Postgres(pool) => {
                let row: Option<PgRow> =
                    run(pool, statement, async |on, query| on.fetch_optional(query).await).await?;
                Ok(row.map(QueryResult::from))
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(connection) => connection.query_all_raw(statement).await,
            Self::Postgres(pool) => {
                let rows: Vec<PgRow> =
                    run(pool, statement, async |on, query| on.fetch_all(query).await).await?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
        }
    }
}
