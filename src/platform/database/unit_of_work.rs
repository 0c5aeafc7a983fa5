//! Unit of work: one transaction, written completely by [`Work::commit`] or not at all.
//!
//! If it is unclear what the database did, the work is lost: the connection is closed, and all later statements and the
//! commit fail.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, sqlx,
};
use tokio::sync::{Mutex, MutexGuard};

use super::connect::{Target, server_timeout};
use super::connection::Connection;
use super::pool::{AcquiredConnection, ConnectionState, Pool, SharedState};
use super::statement_error::FailureKind;
use crate::error::Result;

/// How transactions begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct BeginOptions {
    /// SQLite or PostgreSQL.
    pub backend: DbBackend,
    /// Timeout of each statement. None on SQLite, which has no server.
    pub timeout: Option<Duration>,
    /// Whether `BEGIN` also sets this timeout on the server.
    pub sets_timeout: bool,
    /// Whether a pooler is in between, which switches servers between transactions.
    pub is_behind_pooler: bool,
}

impl BeginOptions {
    /// The SQL that begins a transaction.
    pub fn sql(&self) -> String {
        match (self.backend, self.timeout) {
            (DbBackend::Postgres, Some(timeout)) if self.sets_timeout => {
                let millis = server_timeout(timeout).as_millis();
                format!("BEGIN; SET LOCAL statement_timeout = {millis}")
            }
            (DbBackend::Postgres, _) => "BEGIN".to_owned(),
            // SQLite has one writer: wait for the write lock now, not at the first write.
            _ => "BEGIN IMMEDIATE".to_owned(),
        }
    }
}

/// A transaction. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub struct Work {
    options: BeginOptions,
    inner: Mutex<Inner>,
    /// Depth of the outermost savepoint that was dropped without release or rollback. 0: none.
    abandoned_depth: AtomicU32,
}

#[derive(Debug)]
struct Inner {
    /// None once the work is lost.
    acquired: Option<AcquiredConnection>,
    /// Whether a statement failed, so that only a rollback to a savepoint is possible.
    is_aborted: bool,
    savepoints: u32,
}

impl Work {
    /// Begins a transaction. Retries once on a new connection if the first is unusable.
    pub(super) async fn begin(pool: &Pool, options: BeginOptions) -> Result<Self, DbErr> {
        let health = &pool.shared().health;
        let mut is_retry = false;
        loop {
            let mut acquired = pool.acquire().await.inspect_err(|error| {
                if matches!(error, DbErr::Conn(_)) {
                    health.set_failing();
                }
            })?;
            let sql = options.sql();
            let begin = acquired
                .run(options.timeout, async |connection| connection.execute_sql(&sql).await);
            let Err(failure) = begin.await else {
                acquired.state = ConnectionState::InTransaction;
                break Ok(Self::new(acquired, options));
            };
            let kind = failure.kind();
            if kind == FailureKind::Busy {
                acquired.state = ConnectionState::Idle;
                return Err(failure.into_db_err());
            }
            if kind == FailureKind::Disconnected {
                acquired.discard_generation();
            }
            discard(acquired);
            if is_retry || failure.is_timeout() {
                health.record_failure(kind);
                return Err(failure.into_db_err());
            }
            is_retry = true;
        }
    }

    fn new(acquired: AcquiredConnection, options: BeginOptions) -> Self {
        let inner = Inner { acquired: Some(acquired), is_aborted: false, savepoints: 0 };
        Self { options, inner: Mutex::new(inner), abandoned_depth: AtomicU32::new(0) }
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the connection is lost; the outcome is then unknown. INTERNAL_SERVER_ERROR if a statement
    /// failed before; nothing was written.
    pub async fn commit(self) -> Result<()> {
        let mut inner = self.lock_usable().await?;
        let Some(mut acquired) = inner.acquired.take() else { return Err(lost_error().into()) };
        drop(inner);
        let shared = acquired.shared.clone();
        // The outcome is unknown also if this future is dropped before the response arrives.
        let mut guard = UnknownOutcomeGuard(Some(&shared));
        let commit = acquired
            .run(self.options.timeout, async |connection| connection.execute_sql("COMMIT").await);
        let Err(failure) = commit.await else {
            guard.0 = None;
            acquired.state = ConnectionState::Idle;
            return Ok(());
        };
        let kind = failure.kind();
        shared.health.record_failure(kind);
        if kind == FailureKind::Disconnected {
            acquired.discard_generation();
        }
        if self.options.backend == DbBackend::Postgres && shared.is_usable_after(kind) {
            // A deferred constraint or a conflict: the server has rolled back.
            guard.0 = None;
            acquired.state = ConnectionState::Idle;
        } else {
            discard(acquired);
        }
        Err(failure.into_db_err().into())
    }

    /// Begins a part that can be rolled back on its own.
    pub async fn savepoint(&self) -> Result<Savepoint<'_>, DbErr> {
        let depth = {
            let mut inner = self.lock_usable().await?;
            let depth = inner.savepoints + 1;
            self.execute_sql(&mut inner, &format!("SAVEPOINT s{depth}")).await?;
            inner.savepoints = depth;
            depth
        };
        Ok(Savepoint { work: self, depth, is_ended: false })
    }

    /// Locks the transaction, after rolling back dropped savepoints.
    async fn lock(&self) -> Result<MutexGuard<'_, Inner>, DbErr> {
        let mut inner = self.inner.lock().await;
        let depth = self.abandoned_depth.swap(0, Ordering::Relaxed);
        if depth > 0 {
            self.roll_back_to(&mut inner, depth).await?;
        }
        Ok(inner)
    }

    /// Locks the transaction for a statement. Fails if an earlier statement failed.
    async fn lock_usable(&self) -> Result<MutexGuard<'_, Inner>, DbErr> {
        let inner = self.lock().await?;
        if inner.is_aborted { Err(aborted_error()) } else { Ok(inner) }
    }

    async fn roll_back_to(&self, inner: &mut Inner, depth: u32) -> Result<(), DbErr> {
        inner.is_aborted = true;
        let sql = format!("ROLLBACK TO SAVEPOINT s{depth}; RELEASE SAVEPOINT s{depth}");
        self.execute_sql(inner, &sql).await?;
        inner.is_aborted = false;
        inner.savepoints = depth - 1;
        Ok(())
    }

    async fn execute_sql(&self, inner: &mut Inner, sql: &str) -> Result<(), DbErr> {
        self.run(inner, async |connection| connection.execute_sql(sql).await).await.map(drop)
    }

    async fn run<T>(
        &self,
        inner: &mut Inner,
        statement: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let Some(mut acquired) = inner.acquired.take() else { return Err(lost_error()) };
        // Taken until the response arrives: if this future is dropped before, the work is lost.
        let failure = match acquired.run(self.options.timeout, statement).await {
            Ok(result) => {
                inner.acquired = Some(acquired);
                return Ok(result);
            }
            Err(failure) => failure,
        };
        let kind = failure.kind();
        acquired.shared.health.record_failure(kind);
        // A transaction of SQLite holds its lock from the start, so Busy here is unexpected.
        if acquired.shared.is_usable_after(kind) && kind != FailureKind::Busy {
            acquired.state = ConnectionState::InTransaction;
            inner.is_aborted |=
                self.options.backend == DbBackend::Postgres || kind == FailureKind::Refused;
            inner.acquired = Some(acquired);
        } else {
            if kind == FailureKind::Disconnected {
                acquired.discard_generation();
            }
            discard(acquired);
        }
        Err(failure.into_db_err())
    }
}

/// Closes a connection in an unknown state. SQLite in memory is rolled back instead, as its connection holds the data.
fn discard(acquired: AcquiredConnection) {
    match acquired.shared.target {
        Target::SqliteMemory { .. } if acquired.shared.health.is_failing() => acquired.discard(),
        Target::SqliteMemory { .. } => drop(acquired),
        _ => acquired.discard(),
    }
}

/// Records an unknown outcome when dropped, unless it was cleared before.
struct UnknownOutcomeGuard<'a>(Option<&'a SharedState>);

impl Drop for UnknownOutcomeGuard<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.health.record_unknown_outcome();
        }
    }
}

#[async_trait]
impl ConnectionTrait for Work {
    fn get_database_backend(&self) -> DbBackend {
        self.options.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut inner = self.lock_usable().await?;
        self.run(&mut inner, async |connection| connection.execute(statement).await).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut inner = self.lock_usable().await?;
        self.run(&mut inner, async |connection| connection.execute_sql(sql).await).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut inner = self.lock_usable().await?;
        self.run(&mut inner, async |connection| connection.fetch_first(statement).await).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut inner = self.lock_usable().await?;
        self.run(&mut inner, async |connection| connection.fetch_all(statement).await).await
    }
}

/// A savepoint: a part of a [`Work`]. Dropped without [`Savepoint::release`], it is rolled back.
#[derive(Debug)]
pub struct Savepoint<'a> {
    work: &'a Work,
    depth: u32,
    is_ended: bool,
}

impl Savepoint<'_> {
    /// Keeps the part, if the whole work is committed later.
    pub async fn release(mut self) -> Result<(), DbErr> {
        let mut inner = self.work.lock_usable().await?;
        self.work.execute_sql(&mut inner, &format!("RELEASE SAVEPOINT s{}", self.depth)).await?;
        inner.savepoints = self.depth - 1;
        drop(inner);
        self.is_ended = true;
        Ok(())
    }

    /// Rolls the part back.
    pub async fn rollback(mut self) -> Result<(), DbErr> {
        let mut inner = self.work.lock().await?;
        self.work.roll_back_to(&mut inner, self.depth).await?;
        drop(inner);
        self.is_ended = true;
        Ok(())
    }
}

impl Deref for Savepoint<'_> {
    type Target = Work;

    fn deref(&self) -> &Work {
        self.work
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            // Rolling back the outermost savepoint includes the inner ones.
            let outermost =
                |depth: u32| Some(if depth == 0 { self.depth } else { depth.min(self.depth) });
            let _ = self.work.abandoned_depth.fetch_update(
                Ordering::Relaxed,
                Ordering::Relaxed,
                outermost,
            );
        }
    }
}

fn aborted_error() -> DbErr {
    DbErr::Custom("a statement of the transaction failed before".into())
}

fn lost_error() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the transaction was lost with its connection".into()))
}
