//! Single statements, outside of transactions.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};

use super::connection::Connection;
use super::pool::{Pool, State};
use super::statement_error::FailureKind;
use super::work::BeginOptions;

/// Where single statements go.
#[derive(Clone, Debug)]
pub struct StatementPool {
    pool: Pool,
    options: BeginOptions,
    purpose: Purpose,
}

/// What the statements do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They only read. One whose server stopped is repeated once, on a new connection.
    Reads,
    /// They write, each a transaction of its own.
    Writes,
}

/// Why a statement failed, and whether it may be repeated.
struct Failed {
    error: DbErr,
    is_repeatable: bool,
}

impl StatementPool {
    pub(super) fn new(pool: Pool, options: BeginOptions, purpose: Purpose) -> Self {
        Self { pool, options, purpose }
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Runs a statement, and repeats it once when it may.
    async fn run<T>(
        &self,
        statement: Statement,
        run: impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        if self.purpose == Purpose::Writes {
            return self.try_run(statement, &run).await.map_err(|failed| failed.error);
        }
        match self.try_run(statement.clone(), &run).await {
            Err(failed) if failed.is_repeatable => {
                self.try_run(statement, &run).await.map_err(|failed| failed.error)
            }
            done => done.map_err(|failed| failed.error),
        }
    }

    async fn try_run<T>(
        &self,
        statement: Statement,
        run: &impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failed> {
        let health = &self.pool.shared().health;
        let is_write = self.purpose == Purpose::Writes;
        let mut acquired = self.pool.acquire().await.map_err(|error| {
            if is_write && matches!(error, DbErr::Conn(_)) {
                health.set_failing();
            }
            Failed { error, is_repeatable: false }
        })?;
        let options = self.options;
        let running = acquired.run(options.limit, async |connection| match options.is_pooled {
            true => in_transaction(connection, &options, statement, run).await,
            false => run(connection, statement).await,
        });
        let failure = match running.await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let kind = failure.kind();
        if is_write {
            health.record_failure(kind);
        }
        if acquired.shared.is_usable_after(kind) {
            acquired.state = State::Idle;
        } else {
            if kind == FailureKind::Disconnected {
                acquired.discard_others();
                if is_write {
                    health.record_unknown_outcome();
                }
            }
            acquired.discard();
        }
        let is_repeatable = kind == FailureKind::Disconnected && !failure.is_timeout();
        Err(Failed { error: failure.into_db_err(), is_repeatable })
    }
}

/// Behind a pooler that changes servers between transactions, preparing and running a statement may reach two
/// servers: both go into one transaction.
async fn in_transaction<T>(
    connection: &mut Connection,
    options: &BeginOptions,
    statement: Statement,
    run: &impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    connection.command(&options.sql()).await?;
    match run(connection, statement).await {
        Ok(done) => {
            connection.command("COMMIT").await?;
            Ok(done)
        }
        Err(error) => {
            // One that fails too says no more than the statement did.
            let _ = connection.command("ROLLBACK").await;
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
        self.run(statement, Connection::execute).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
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
