//! Single statements, outside of transactions.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, sqlx};

use super::connection::Connection;
use super::pool::{self, Pool, discard};
use super::statement_error::Kind;
use super::work::{Begin, Work};

/// Where single statements go.
#[derive(Clone, Debug)]
pub struct StatementPool {
    pool: Pool,
    begin: Begin,
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

impl StatementPool {
    pub(super) fn new(pool: Pool, begin: Begin, purpose: Purpose) -> Self {
        Self { pool, begin, purpose }
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
        match self.try_run(statement.clone(), &run).await {
            Ok(done) => Ok(done),
            Err((Some(Kind::Disconnected), _)) if self.purpose == Purpose::Reads => {
                self.try_run(statement, &run).await.map_err(|(_, error)| error)
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Answers with the failure what it means, when the server itself failed.
    async fn try_run<T>(
        &self,
        statement: Statement,
        run: &impl AsyncFn(&mut Connection, Statement) -> Result<T, sqlx::Error>,
    ) -> Result<T, (Option<Kind>, DbErr)> {
        let shared = self.pool.shared();
        let is_write = self.purpose == Purpose::Writes;
        let mut acquired = self.pool.acquire().await.map_err(|error| {
            if is_write && matches!(error, DbErr::Conn(_)) {
                shared.health.set_failing();
            }
            (None, error)
        })?;
        let done = pool::run(&mut acquired, self.begin.limit, async |connection| {
            run(connection, statement).await
        });
        let failure = match done.await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let kind = failure.kind();
        if is_write {
            shared.health.record_failure(kind);
        }
        if shared.is_usable_after(kind) {
            acquired.is_clean = true;
        } else {
            if kind == Kind::Disconnected {
                shared.discard_connections();
                if is_write {
                    shared.health.record_doubtful_commit();
                }
            }
            discard(acquired);
        }
        let is_repeatable = !failure.is_timeout();
        Err((is_repeatable.then_some(kind), failure.into_db_err()))
    }

    /// Behind a pooler that changes servers between transactions, preparing and running a statement may reach
    /// two servers: both go into one transaction.
    async fn begin(&self) -> Result<Option<Work>, DbErr> {
        match self.begin.is_pooled {
            true => Ok(Some(Work::begin(&self.pool, self.begin).await?)),
            false => Ok(None),
        }
    }
}

#[async_trait]
impl ConnectionTrait for StatementPool {
    fn get_database_backend(&self) -> DbBackend {
        self.begin.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        if let Some(work) = self.begin().await? {
            let done = work.execute_raw(statement).await?;
            work.end().await?;
            return Ok(done);
        }
        self.run(statement, Connection::execute).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.execute_raw(Statement::from_string(self.get_database_backend(), sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if let Some(work) = self.begin().await? {
            let row = work.query_one_raw(statement).await?;
            work.end().await?;
            return Ok(row);
        }
        self.run(statement, Connection::fetch_first).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if let Some(work) = self.begin().await? {
            let rows = work.query_all_raw(statement).await?;
            work.end().await?;
            return Ok(rows);
        }
        self.run(statement, Connection::fetch_all).await
    }
}
