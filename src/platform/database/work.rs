//! A unit of work: one transaction. It is written whole by [`Work::commit`], or not at all.
//!
//! Whatever makes it unsure what the database did loses the work: every later statement and the commit fail, and
//! the connection is closed.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, sqlx,
};
use tokio::sync::{Mutex, MutexGuard};

use super::connect::{Target, server_limit};
use super::connection::Connection;
use super::pool::{Acquired, Pool, Shared, State};
use super::statement_error::FailureKind;
use crate::error::Result;

/// How a transaction begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct BeginOptions {
    /// Which database.
    pub backend: DbBackend,
    /// How long each statement may take. None on SQLite, which is no server that could go silent.
    pub limit: Option<Duration>,
    /// The server does not know the limit yet.
    pub sets_limit: bool,
    /// Behind a pooler that changes servers between transactions.
    pub is_pooled: bool,
}

impl BeginOptions {
    /// As it is sent.
    pub fn sql(&self) -> String {
        match (self.backend, self.limit) {
            (DbBackend::Postgres, Some(limit)) if self.sets_limit => {
                let millis = server_limit(limit).as_millis();
                format!("BEGIN; SET LOCAL statement_timeout = {millis}")
            }
            (DbBackend::Postgres, _) => "BEGIN".to_owned(),
            // SQLite has one writer. It is this one from the start, or waits here.
            _ => "BEGIN IMMEDIATE".to_owned(),
        }
    }
}

/// One transaction. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub struct Work {
    options: BeginOptions,
    inner: Mutex<Inner>,
    /// The outermost savepoint that was dropped without an end, from 1 on. 0: there is none.
    abandoned: AtomicU32,
}

#[derive(Debug)]
struct Inner {
    /// None once it is lost.
    acquired: Option<Acquired>,
    /// A statement failed. Nothing but a rollback to a savepoint is possible.
    is_aborted: bool,
    savepoints: u32,
}

impl Work {
    /// Begins. A connection whose server stopped, or that is still in a transaction, is replaced once.
    pub(super) async fn begin(pool: &Pool, options: BeginOptions) -> Result<Self, DbErr> {
        let health = &pool.shared().health;
        let mut is_repeated = false;
        loop {
            let mut acquired = pool.acquire().await.inspect_err(|error| {
                if matches!(error, DbErr::Conn(_)) {
                    health.set_failing();
                }
            })?;
            let sql = options.sql();
            let beginning =
                acquired.run(options.limit, async |connection| connection.command(&sql).await);
            let Err(failure) = beginning.await else {
                acquired.state = State::InTransaction;
                break Ok(Self::on(acquired, options));
            };
            let kind = failure.kind();
            if kind == FailureKind::Busy {
                acquired.state = State::Idle;
                return Err(failure.into_db_err());
            }
            if kind == FailureKind::Disconnected {
                acquired.discard_others();
            }
            give_up(acquired);
            if is_repeated || failure.is_timeout() {
                health.record_failure(kind);
                return Err(failure.into_db_err());
            }
            is_repeated = true;
        }
    }

    fn on(acquired: Acquired, options: BeginOptions) -> Self {
        let inner = Inner { acquired: Some(acquired), is_aborted: false, savepoints: 0 };
        Self { options, inner: Mutex::new(inner), abandoned: AtomicU32::new(0) }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the connection is lost: nobody knows then whether it was written. INTERNAL_SERVER_ERROR
    /// when a statement of it failed: nothing was.
    pub async fn commit(self) -> Result<()> {
        let mut inner = self.open_inner().await?;
        let Some(mut acquired) = inner.acquired.take() else { return Err(lost().into()) };
        drop(inner);
        let shared = acquired.shared.clone();
        // Dropped before it is answered, its outcome is unknown too.
        let mut unknown = UnknownOutcome(Some(&shared));
        let committing =
            acquired.run(self.options.limit, async |connection| connection.command("COMMIT").await);
        let Err(failure) = committing.await else {
            unknown.0 = None;
            acquired.state = State::Idle;
            return Ok(());
        };
        let kind = failure.kind();
        shared.health.record_failure(kind);
        if kind == FailureKind::Disconnected {
            acquired.discard_others();
        }
        if self.options.backend == DbBackend::Postgres && shared.is_usable_after(kind) {
            // A constraint that is checked now, or a conflict: the server has rolled back.
            unknown.0 = None;
            acquired.state = State::Idle;
        } else {
            give_up(acquired);
        }
        Err(failure.into_db_err().into())
    }

    /// Begins a part that can be rolled back alone.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the work is lost.
    pub async fn savepoint(&self) -> Result<Savepoint<'_>, DbErr> {
        let depth = {
            let mut inner = self.open_inner().await?;
            let depth = inner.savepoints + 1;
            self.command(&mut inner, &format!("SAVEPOINT s{depth}")).await?;
            inner.savepoints = depth;
            depth
        };
        Ok(Savepoint { work: self, depth, is_ended: false })
    }

    /// Savepoints that were dropped are rolled back first.
    async fn inner(&self) -> Result<MutexGuard<'_, Inner>, DbErr> {
        let mut inner = self.inner.lock().await;
        let abandoned = self.abandoned.swap(0, Ordering::Relaxed);
        if abandoned > 0 {
            self.roll_back_to(&mut inner, abandoned).await?;
        }
        Ok(inner)
    }

    /// What a statement needs, unless one failed before.
    async fn open_inner(&self) -> Result<MutexGuard<'_, Inner>, DbErr> {
        let inner = self.inner().await?;
        if inner.is_aborted { Err(aborted()) } else { Ok(inner) }
    }

    async fn roll_back_to(&self, inner: &mut Inner, depth: u32) -> Result<(), DbErr> {
        inner.is_aborted = true;
        let sql = format!("ROLLBACK TO SAVEPOINT s{depth}; RELEASE SAVEPOINT s{depth}");
        self.command(inner, &sql).await?;
        inner.is_aborted = false;
        inner.savepoints = depth - 1;
        Ok(())
    }

    async fn command(&self, inner: &mut Inner, sql: &str) -> Result<(), DbErr> {
        self.run(inner, async |connection| connection.command(sql).await).await.map(drop)
    }

    async fn run<T>(
        &self,
        inner: &mut Inner,
        statement: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let Some(mut acquired) = inner.acquired.take() else { return Err(lost()) };
        // Taken until it is answered: a statement that is abandoned takes the work with it.
        let failure = match acquired.run(self.options.limit, statement).await {
            Ok(done) => {
                inner.acquired = Some(acquired);
                return Ok(done);
            }
            Err(failure) => failure,
        };
        let kind = failure.kind();
        acquired.shared.health.record_failure(kind);
        // In a transaction SQLite gives no lock away, so that one that is not to be had is no ordinary failure.
        if acquired.shared.is_usable_after(kind) && kind != FailureKind::Busy {
            acquired.state = State::InTransaction;
            inner.is_aborted |=
                self.options.backend == DbBackend::Postgres || kind == FailureKind::Refused;
            inner.acquired = Some(acquired);
        } else {
            if kind == FailureKind::Disconnected {
                acquired.discard_others();
            }
            give_up(acquired);
        }
        Err(failure.into_db_err())
    }
}

/// Closes a connection in an unknown state. SQLite in memory is rolled back instead: its connection is the data.
fn give_up(acquired: Acquired) {
    match acquired.shared.target {
        Target::SqliteMemory { .. } if acquired.shared.health.is_failing() => acquired.discard(),
        Target::SqliteMemory { .. } => drop(acquired),
        _ => acquired.discard(),
    }
}

/// Reports the outcome of a commit as unknown when it is dropped, unless it is known by then.
struct UnknownOutcome<'a>(Option<&'a Shared>);

impl Drop for UnknownOutcome<'_> {
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
        let mut inner = self.open_inner().await?;
        self.run(&mut inner, async |connection| connection.execute(statement).await).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut inner = self.open_inner().await?;
        self.run(&mut inner, async |connection| connection.command(sql).await).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut inner = self.open_inner().await?;
        self.run(&mut inner, async |connection| connection.fetch_first(statement).await).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut inner = self.open_inner().await?;
        self.run(&mut inner, async |connection| connection.fetch_all(statement).await).await
    }
}

/// A part of a [`Work`]. Dropped without [`Savepoint::release`], it is rolled back.
#[derive(Debug)]
pub struct Savepoint<'a> {
    work: &'a Work,
    depth: u32,
    is_ended: bool,
}

impl Savepoint<'_> {
    /// Keeps the part, if the whole is committed.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the work is lost.
    pub async fn release(mut self) -> Result<(), DbErr> {
        let mut inner = self.work.open_inner().await?;
        self.work.command(&mut inner, &format!("RELEASE SAVEPOINT s{}", self.depth)).await?;
        inner.savepoints = self.depth - 1;
        drop(inner);
        self.is_ended = true;
        Ok(())
    }

    /// Undoes the part.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the work is lost.
    pub async fn rollback(mut self) -> Result<(), DbErr> {
        let mut inner = self.work.inner().await?;
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
            // Those inside are rolled back with it.
            let outermost =
                |now: u32| Some(if now == 0 { self.depth } else { now.min(self.depth) });
            let _ =
                self.work.abandoned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, outermost);
        }
    }
}

fn aborted() -> DbErr {
    DbErr::Custom("a statement of the transaction failed before".into())
}

fn lost() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the transaction was lost with its connection".into()))
}
