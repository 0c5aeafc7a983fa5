//! Pool for single statements, outside of transactions.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};

use super::connection::Connection;
use super::pool::{ConnectionState, Pool};
use super::statement_error::FailureKind;
use super::unit_of_work::{BeginOptions, Work};
use crate::platform::events::Events;

/// Runs each statement on a connection of a pool.
#[derive(Clone, Debug)]
pub struct StatementPool {
    pool: Pool,
    options: BeginOptions,
    access_mode: AccessMode,
}

/// Whether a pool's statements may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// They only read. If the server stopped, a statement is repeated once on a new connection.
    ReadOnly,
    /// They only read, for long. A statement that returns no rows is an error.
    Report,
    /// They write, each in its own transaction.
    ReadWrite,
}

/// Why a statement failed, and whether it may be repeated.
struct Failure {
    error: DbErr,
    is_repeatable: bool,
}

impl StatementPool {
    pub(super) fn new(pool: Pool, options: BeginOptions, access_mode: AccessMode) -> Self {
        Self { pool, options, access_mode }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) async fn begin(&self, events: &Events) -> Result<Work, DbErr> {
        Work::begin(&self.pool, self.options, events).await
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Fails for reports, which only query. SQLite in memory has no connection that would reject writes.
    fn ensure_may_execute(&self) -> Result<(), DbErr> {
        match self.access_mode {
            AccessMode::Report => Err(report_write_error()),
            AccessMode::ReadOnly | AccessMode::ReadWrite => Ok(()),
        }
    }

    /// Runs a statement, and repeats it once if that is allowed.
    async fn run<T>(
        &self,
        statement: Statement,
        run: impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        if self.access_mode == AccessMode::ReadWrite {
            return self.try_run(statement, &run).await.map_err(|failure| failure.error);
        }
        match self.try_run(statement.clone(), &run).await {
            Err(failure) if failure.is_repeatable => {
                self.try_run(statement, &run).await.map_err(|failure| failure.error)
            }
            result => result.map_err(|failure| failure.error),
        }
    }

    async fn try_run<T>(
        &self,
        statement: Statement,
        run: &impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failure> {
        let health = &self.pool.shared().health;
        let is_write = self.access_mode == AccessMode::ReadWrite;
        let mut acquired = self.pool.acquire().await.map_err(|error| {
            if is_write && matches!(error, DbErr::Conn(_)) {
                health.set_failing();
            }
            Failure { error, is_repeatable: false }
        })?;
        let options = self.options;
        let running =
            acquired.run(options.timeout, async |connection| match options.is_behind_pooler {
                true => run_in_transaction(connection, &options, statement, run).await,
                false => run(connection, statement).await,
            });
        let failure = match running.await {
            Ok(result) => return Ok(result),
            Err(failure) => failure,
        };
        if self.access_mode == AccessMode::Report && failure.is_read_only_violation() {
            acquired.state = ConnectionState::Idle;
            return Err(Failure { error: report_write_error(), is_repeatable: false });
        }
        let kind = failure.kind();
        if is_write {
            health.record_failure(kind);
        }
        if acquired.shared.is_usable_after(kind) {
            acquired.state = ConnectionState::Idle;
        } else {
            if kind == FailureKind::Disconnected {
                acquired.discard_generation();
                if is_write {
                    health.record_unknown_outcome();
                }
            }
            acquired.discard();
        }
        let is_repeatable = kind == FailureKind::Disconnected && !failure.is_timeout();
        Err(Failure { error: failure.into_db_err(), is_repeatable })
    }
}

fn report_write_error() -> DbErr {
    DbErr::Custom("a report only reads".to_owned())
}

/// Prepares and runs a statement in one transaction: outside of one, a pooler could send the two steps to different
/// servers.
async fn run_in_transaction<T>(
    connection: &mut Connection,
    options: &BeginOptions,
    statement: Statement,
    run: &impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    connection.execute_sql(&options.sql()).await?;
    match run(connection, statement).await {
        Ok(result) => {
            connection.execute_sql("COMMIT").await?;
            Ok(result)
        }
        Err(error) => {
            // If the rollback fails too, the statement's error is reported.
            let _ = connection.execute_sql("ROLLBACK").await;
            Err(error)
        }
    }
}

#[async_trait]
impl ConnectionTrait for StatementPool {
    fn get_database_backend(&self) -> DbBackend {
        self.options.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.ensure_may_execute()?;
        self.run(statement, Connection::execute).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.ensure_may_execute()?;
        let statement = Statement::from_string(self.get_database_backend(), sql);
        self.run(statement, Connection::execute_unprepared).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(statement, Connection::fetch_first).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(statement, Connection::fetch_all).await
    }
}
