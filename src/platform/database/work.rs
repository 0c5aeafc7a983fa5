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

use super::connect::server_limit;
use super::connection::Connection;
use super::pool::{self, Acquired, Pool, discard};
use super::statement_error::Kind;
use crate::error::Result;

/// How a transaction begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    /// Which database.
    pub backend: DbBackend,
    /// How long each statement may take. None on SQLite, which is no server that could go silent.
    pub limit: Option<Duration>,
    /// The server does not know the limit yet.
    pub sets_limit: bool,
    /// Behind a pooler that changes servers between transactions.
    pub is_pooled: bool,
}

impl Begin {
    fn sql(&self) -> String {
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
    begin: Begin,
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
    pub(super) async fn begin(pool: &Pool, begin: Begin) -> Result<Self, DbErr> {
        let shared = pool.shared();
        let mut is_repeated = false;
        loop {
            let mut acquired = pool.acquire().await.inspect_err(|error| {
                if matches!(error, DbErr::Conn(_)) {
                    shared.health.set_failing();
                }
            })?;
            let beginning = pool::run(&mut acquired, begin.limit, async |connection| {
                connection.command(&begin.sql()).await
            });
            let Err(failure) = beginning.await else { break Ok(Self::on(acquired, begin)) };
            let kind = failure.kind();
            let is_usable = shared.is_usable_after(kind);
            match (is_usable, kind) {
                (true, Kind::Refused) if begin.backend == DbBackend::Sqlite => drop(acquired),
                (true, _) => {
                    acquired.is_clean = true;
                    return Err(failure.into_db_err());
                }
                (false, _) => discard(acquired),
            }
            if kind == Kind::Disconnected {
                shared.discard_connections();
            }
            if is_repeated || failure.is_timeout() {
                shared.health.record_failure(kind);
                return Err(failure.into_db_err());
            }
            is_repeated = true;
        }
    }

    fn on(acquired: Acquired, begin: Begin) -> Self {
        let inner = Inner { acquired: Some(acquired), is_aborted: false, savepoints: 0 };
        Self { begin, inner: Mutex::new(inner), abandoned: AtomicU32::new(0) }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the connection is lost: nobody knows then whether it was written. INTERNAL_SERVER_ERROR
    /// when a statement of it failed: nothing was.
    pub async fn commit(self) -> Result<()> {
        Ok(self.end().await?)
    }

    pub(super) async fn end(mut self) -> Result<(), DbErr> {
        let inner = self.inner.get_mut();
        let Some(mut acquired) = inner.acquired.take() else { return Err(lost()) };
        if inner.is_aborted {
            inner.acquired = Some(acquired);
            // PostgreSQL would answer COMMIT by rolling back, and report no error.
            return Err(aborted());
        }
        let shared = acquired.shared.clone();
        let ended = pool::run(&mut acquired, self.begin.limit, async |connection| {
            connection.command("COMMIT").await
        });
        let Err(failure) = ended.await else { return Ok(()) };
        let kind = failure.kind();
        shared.health.record_failure(kind);
        if !shared.is_usable_after(kind) {
            discard(acquired);
        } else if self.begin.backend == DbBackend::Postgres {
            // A constraint that is checked now, or a conflict: the server has rolled back.
            acquired.is_clean = true;
        }
        if kind == Kind::Disconnected {
            shared.discard_connections();
            shared.health.record_doubtful_commit();
        }
        Err(failure.into_db_err())
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
        let acquired = inner.acquired.as_mut().ok_or_else(lost)?;
        let failure = match pool::run(acquired, self.begin.limit, statement).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let kind = failure.kind();
        acquired.shared.health.record_failure(kind);
        // In a transaction SQLite gives no lock away, so that one that is not to be had is no ordinary failure.
        if acquired.shared.is_usable_after(kind) && kind != Kind::Busy {
            acquired.is_clean = true;
            inner.is_aborted |= self.begin.backend == DbBackend::Postgres || kind == Kind::Refused;
        } else {
            if kind == Kind::Disconnected {
                acquired.shared.discard_connections();
            }
            if let Some(acquired) = inner.acquired.take() {
                discard(acquired);
            }
        }
        Err(failure.into_db_err())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some(mut acquired) = self.inner.get_mut().acquired.take() else { return };
        let is_postgres = self.begin.backend == DbBackend::Postgres;
        // A statement that was abandoned: the server would have to be waited for.
        if is_postgres && !acquired.is_clean {
            return discard(acquired);
        }
        let limit = self.begin.limit;
        acquired.is_clean = false;
        let roll_back = async move {
            let done = pool::run(&mut acquired, limit, async |connection| {
                connection.command("ROLLBACK").await
            });
            // In memory, SQLite has rolled back by itself when there is no transaction any more.
            if done.await.is_err_and(|failure| !acquired.shared.is_usable_after(failure.kind())) {
                discard(acquired);
            }
        };
        // Without a runtime the process is about to end, and the connection with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(roll_back);
        }
    }
}

#[async_trait]
impl ConnectionTrait for Work {
    fn get_database_backend(&self) -> DbBackend {
        self.begin.backend
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
