//! Pools of connections to either database. A connection goes back only in a known state.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, sqlx};

use super::connect::{ConnectError, Target};
use super::connection::Connection;
use super::statement_error::{FailureKind, StatementError};
use super::timeout::timeout;
use super::write_health::WriteHealth;

/// A connection that has been idle for so long is pinged before it is used.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);
/// How long the answer to a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// What all pools of a database share.
#[derive(Debug)]
pub struct Shared {
    /// What connections are made to.
    pub target: Target,
    /// Connections of an earlier generation are closed: they lead to a server that is gone.
    generation: AtomicU64,
    /// Whether writes are kept.
    pub health: WriteHealth,
}

impl Shared {
    /// Of no connection yet.
    pub fn new(target: Target) -> Self {
        Self { target, generation: AtomicU64::new(0), health: WriteHealth::default() }
    }

    /// Has every connection closed that was made before now, instead of used once more.
    pub fn discard_connections(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a connection may go on after a failure. SQLite rolls back by itself on many errors, and its state is
    /// known only after a constraint or a lock that was not to be had. In memory the connection is the data: it stays
    /// as long as a rollback can tell its state.
    pub fn is_usable_after(&self, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Constraint | FailureKind::Busy => true,
            FailureKind::Refused => !matches!(self.target, Target::SqliteFile { .. }),
            FailureKind::Storage => matches!(self.target, Target::Postgres { .. }),
            FailureKind::Disconnected => false,
        }
    }
}

/// Makes connections, and tries those that were idle.
#[derive(Debug)]
pub struct Connector {
    shared: Arc<Shared>,
    is_read_only: bool,
}

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Idle,
    /// A transaction, between two of its statements.
    InTransaction,
    /// A statement that nobody waits for any more, or one that failed for a reason of the database's own.
    Unknown,
}

/// A connection of a pool.
#[derive(Debug)]
pub struct PooledConnection {
    /// To the database.
    pub connection: Connection,
    /// What it is in the middle of.
    pub state: State,
    /// What all pools of the database share.
    pub shared: Arc<Shared>,
    generation: u64,
}

impl PooledConnection {
    /// Runs something on it, so long at most. Dropped in between, it leaves the state unknown.
    ///
    /// # Errors
    /// The statement's, or that it took too long.
    pub async fn run<T>(
        &mut self,
        limit: Option<Duration>,
        statement: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StatementError> {
        let before = std::mem::replace(&mut self.state, State::Unknown);
        let running = statement(&mut self.connection);
        let done = match limit {
            None => running.await?,
            Some(limit) => {
                timeout(limit, running).await.ok_or(StatementError::Timeout(limit))??
            }
        };
        self.state = before;
        Ok(done)
    }

    /// Has every connection closed that was made to the same server, instead of used once more.
    pub fn discard_others(&self) {
        // Who fails late must not close what was made since.
        let (old, new) = (self.generation, self.generation + 1);
        let _ =
            self.shared.generation.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl managed::Manager for Connector {
    type Type = PooledConnection;
    type Error = ConnectError;

    async fn create(&self) -> Result<PooledConnection, ConnectError> {
        let generation = self.shared.generation.load(Ordering::Relaxed);
        // Boxed: it is large, rare, and part of every future that asks for a connection.
        let connection = Box::pin(self.shared.target.connect(self.is_read_only)).await?;
        let shared = self.shared.clone();
        Ok(PooledConnection { connection, state: State::Idle, shared, generation })
    }

    async fn recycle(
        &self,
        pooled: &mut PooledConnection,
        metrics: &Metrics,
    ) -> RecycleResult<ConnectError> {
        // SQLite has no server that could go. In memory, waiting here would risk the data: who is cancelled meanwhile
        // drops the connection.
        let Connection::Postgres { inner, .. } = &mut pooled.connection else { return Ok(()) };
        if pooled.generation != self.shared.generation.load(Ordering::Relaxed) {
            return Err(RecycleError::message("its server is gone"));
        }
        if metrics.last_used() < PING_AFTER_IDLE {
            return Ok(());
        }
        let ping = Box::pin(sqlx::Connection::ping(inner));
        if let Some(Ok(())) = timeout(PING_TIMEOUT, ping).await {
            return Ok(());
        }
        pooled.discard_others();
        Err(RecycleError::message("it does not answer"))
    }
}

/// Some connections to a database.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: managed::Pool<Connector>,
    shared: Arc<Shared>,
    acquire_timeout: Duration,
}

impl Pool {
    /// Connections are made when they are needed.
    pub fn new(
        shared: &Arc<Shared>,
        size: u32,
        acquire_timeout: Duration,
        is_read_only: bool,
    ) -> Self {
        let connector = Connector { shared: shared.clone(), is_read_only };
        let inner = managed::Pool::builder(connector)
            .max_size(usize::try_from(size).unwrap_or(usize::MAX))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime");
        Self { inner, shared: shared.clone(), acquire_timeout }
    }

    /// What all pools of the database share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes a connection out of the pool, or makes one.
    ///
    /// # Errors
    /// `DbErr::Conn` when none can be made, `DbErr::ConnectionAcquire` when none is free in time.
    pub async fn acquire(&self) -> Result<Acquired, DbErr> {
        let unreachable =
            |error: String| DbErr::Conn(RuntimeErr::Internal(format!("DATABASE_URL: {error}")));
        match timeout(self.acquire_timeout, self.inner.get()).await {
            Some(Ok(object)) => Ok(Acquired(Some(object))),
            Some(Err(PoolError::Backend(error))) => Err(unreachable(error.to_string())),
            Some(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            // All are in use, or the one that is being made gets no answer.
            None if self.inner.status().size >= self.inner.status().max_size => {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
            }
            None => {
                let error = self.shared.target.no_answer_within(self.acquire_timeout);
                Err(unreachable(error.to_string()))
            }
        }
    }

    /// Closes every connection: who asks afterwards is refused.
    pub fn close(&self) {
        self.inner.close();
    }
}

/// A connection of a pool while it is used. Dropped, it goes back once it is idle.
#[derive(Debug)]
pub struct Acquired(Option<Object<Connector>>);

impl Acquired {
    /// Closes it. Its place in the pool is free at once.
    pub fn discard(mut self) {
        self.0.take().map(Object::take);
    }
}

impl Deref for Acquired {
    type Target = PooledConnection;

    fn deref(&self) -> &PooledConnection {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Acquired {
    fn deref_mut(&mut self) -> &mut PooledConnection {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        let Some(object) = self.0.take().filter(|object| object.state != State::Idle) else {
            return;
        };
        let is_postgres = matches!(object.connection, Connection::Postgres { .. });
        match tokio::runtime::Handle::try_current() {
            // Closing it is quicker than waiting for the end of a statement.
            Ok(_) if is_postgres && object.state == State::Unknown => drop(Object::take(object)),
            Ok(runtime) => drop(runtime.spawn(roll_back(object))),
            // The process is about to end.
            Err(_) => drop(Object::take(object)),
        }
    }
}

/// Brings a connection to where nothing is under way, or closes it.
async fn roll_back(mut object: Object<Connector>) {
    let is_sqlite = matches!(object.connection, Connection::Sqlite(_));
    let limit = (!is_sqlite).then_some(PING_TIMEOUT);
    // SQLite gets to it after what is still running.
    let done = object.run(limit, async |connection| connection.command("ROLLBACK").await).await;
    let is_idle = match done {
        Ok(_) => true,
        // There is no transaction any more.
        Err(failure) => is_sqlite && failure.kind() == FailureKind::Refused,
    };
    match is_idle {
        true => object.state = State::Idle,
        false => drop(Object::take(object)),
    }
}
