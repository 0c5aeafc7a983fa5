//! Unit of work: one transaction, written completely by [`Work::commit`] or not at all, and the effects that follow
//! its commit: events, notifications of jobs, and changes in memory.
//!
//! If it is unclear what the database did, the work is lost: the connection is closed, and all later statements and the
//! commit fail.

use std::fmt;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex as SyncMutex;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, sqlx,
};
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument;

use super::connect::{Target, server_timeout, timeouts_sql};
use super::connection::Connection;
use super::effects::{Effects, EffectsMark};
use super::pool::{AcquiredConnection, ConnectionState, Pool, SharedState};
use super::statement_error::FailureKind;
use crate::error::Result;
use crate::platform::events::Events;
use crate::platform::jobs::Notifier;

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
    /// Whether the server rejects writes.
    pub is_read_only: bool,
}

impl BeginOptions {
    /// The SQL that begins a transaction.
    pub fn sql(&self) -> String {
        let begin = match self.is_read_only {
            // All statements see the same state.
            true => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            false => "BEGIN",
        };
        match (self.backend, self.timeout) {
            (DbBackend::Postgres, Some(timeout)) if self.sets_timeout => {
                format!("{begin}; {}", timeouts_sql("SET LOCAL", server_timeout(timeout)))
            }
            (DbBackend::Postgres, _) => begin.to_owned(),
            _ if self.is_read_only => "BEGIN".to_owned(),
            // SQLite has one writer: wait for the write lock now, not at the first write.
            _ => "BEGIN IMMEDIATE".to_owned(),
        }
    }
}

/// A transaction and its effects. Dropped without a commit, it is rolled back, and no effect runs.
pub struct Work {
    options: BeginOptions,
    inner: Mutex<Inner>,
    /// Depth of the outermost savepoint that was dropped without release or rollback. 0: none.
    abandoned_depth: AtomicU32,
    effects: SyncMutex<Effects>,
    events: Events,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("inner", &self.inner).finish_non_exhaustive()
    }
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
    pub(super) async fn begin(
        pool: &Pool,
        options: BeginOptions,
        events: &Events,
    ) -> Result<Self, DbErr> {
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
                break Ok(Self::new(acquired, options, events.clone()));
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

    fn new(acquired: AcquiredConnection, options: BeginOptions, events: Events) -> Self {
        let inner = Inner { acquired: Some(acquired), is_aborted: false, savepoints: 0 };
        Self {
            options,
            inner: Mutex::new(inner),
            abandoned_depth: AtomicU32::new(0),
            effects: SyncMutex::default(),
            events,
        }
    }

    /// Publishes an event on every instance after the commit. Several of one topic are one.
    pub fn publish(&self, topic: impl Into<String>) {
        self.effects.lock().add_event(topic.into(), false);
    }

    /// Publishes an event on this instance after the commit, if every instance notices the change by itself.
    pub fn publish_local(&self, topic: impl Into<String>) {
        self.effects.lock().add_event(topic.into(), true);
    }

    /// Wakes a job of this instance after the commit.
    pub fn notify(&self, notifier: &Notifier) {
        self.effects.lock().add_notification(notifier.clone());
    }

    /// Runs a function after the commit, which must not block. It does not run if the outcome of the commit is unknown.
    pub fn after_commit(&self, function: impl FnOnce() + Send + 'static) {
        self.effects.lock().add_closure(Box::new(function), false);
    }

    /// Runs a function that removes outdated state from memory, after the commit or if its outcome is unknown. It must
    /// not block.
    pub fn invalidate(&self, function: impl FnOnce() + Send + 'static) {
        self.effects.lock().add_closure(Box::new(function), true);
    }

    /// Commits the transaction, then runs its effects. If the outcome of the commit is unknown, those run that only make
    /// somebody read again: events, notifications and invalidations.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the connection is lost; the outcome is then unknown. INTERNAL_SERVER_ERROR if a statement
    /// failed before; nothing was written.
    pub async fn commit(self) -> Result<()> {
        // In its own task, so that a request that is dropped meanwhile does not separate the commit from its effects.
        let commit = async move {
            let (outcome, result) = self.commit_transaction().await;
            if outcome != CommitOutcome::RolledBack {
                let is_committed = outcome == CommitOutcome::Committed;
                self.effects.into_inner().run(&self.events, is_committed);
            }
            result
        };
        match tokio::spawn(commit.in_current_span()).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(lost_error().into()),
        }
    }

    async fn commit_transaction(&self) -> (CommitOutcome, Result<()>) {
        let acquired = match self.lock_usable().await {
            Ok(mut inner) => inner.acquired.take().ok_or_else(lost_error),
            Err(error) => Err(error),
        };
        let mut acquired = match acquired {
            Ok(acquired) => acquired,
            Err(error) => return (CommitOutcome::RolledBack, Err(error.into())),
        };
        let shared = acquired.shared.clone();
        // The outcome is unknown also if this future is dropped before the response arrives.
        let mut guard = UnknownOutcomeGuard(Some(&shared));
        let commit = acquired
            .run(self.options.timeout, async |connection| connection.execute_sql("COMMIT").await);
        let Err(failure) = commit.await else {
            guard.0 = None;
            acquired.state = ConnectionState::Idle;
            return (CommitOutcome::Committed, Ok(()));
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
            return (CommitOutcome::RolledBack, Err(failure.into_db_err().into()));
        }
        discard(acquired);
        (CommitOutcome::Unknown, Err(failure.into_db_err().into()))
    }

    /// Runs a query, and passes each row to a function as it arrives, so that they need not fit into memory together.
    pub async fn for_each_row(
        &self,
        statement: Statement,
        mut each: impl FnMut(QueryResult) -> Result<()> + Send,
    ) -> Result<()> {
        let mut outcome = Ok(());
        let each = |row| {
            if outcome.is_ok() {
                outcome = each(row);
            }
        };
        let mut inner = self.lock_usable().await?;
        self.run(&mut inner, async |connection| connection.for_each(statement, each).await).await?;
        outcome
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
        let mark = self.effects.lock().mark();
        Ok(Savepoint { work: self, depth, mark, is_ended: false })
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

/// What became of a transaction at its commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CommitOutcome {
    Committed,
    RolledBack,
    Unknown,
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

/// A savepoint: a part of a [`Work`]. Dropped without [`Savepoint::release`], it is rolled back with its effects.
#[derive(Debug)]
pub struct Savepoint<'a> {
    work: &'a Work,
    depth: u32,
    /// The effects before it.
    mark: EffectsMark,
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
        self.work.effects.lock().roll_back_to(self.mark);
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
            self.work.effects.lock().roll_back_to(self.mark);
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
