//! Pools of connections to either database. A connection comes back only in a known state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use super::connect::{ConnectError, Target};
use super::connection::Connection;
use super::limits::within;
use super::statement_error::{Kind, StatementError};
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

    /// Whether a connection may go on after a failure. SQLite rolls back by itself on many errors, and its state is
    /// known only after a constraint or a lock that was not to be had. In memory the connection is the data: it stays
    /// as long as a rollback can tell its state.
    pub fn is_usable_after(&self, kind: Kind) -> bool {
        match kind {
            Kind::Constraint | Kind::Busy => true,
            Kind::Refused => !matches!(self.target, Target::SqliteFile(_)),
            Kind::Storage => matches!(self.target, Target::Postgres { .. }),
            Kind::Disconnected => false,
        }
    }

    /// Has every connection closed that was made before now, instead of used once more.
    pub fn discard_connections(&self) {
        // SQLite in memory is its connection.
        if !matches!(self.target, Target::SqliteMemory { .. }) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Makes connections, and judges those that come back.
#[derive(Debug)]
pub struct Connector {
    shared: Arc<Shared>,
    is_read_only: bool,
}

/// A connection of a pool.
#[derive(Debug)]
pub struct PooledConnection {
    /// To the database.
    pub connection: Connection,
    /// Whether its last statement and transaction came to their end.
    pub is_clean: bool,
    /// What all pools of the database share.
    pub shared: Arc<Shared>,
    generation: u64,
}

impl managed::Manager for Connector {
    type Type = PooledConnection;
    type Error = ConnectError;

    async fn create(&self) -> Result<PooledConnection, ConnectError> {
        let generation = self.shared.generation.load(Ordering::Relaxed);
        // Boxed: it is large, rare, and part of every future that asks for a connection.
        let connection = Box::pin(self.shared.target.connect(self.is_read_only)).await?;
        Ok(PooledConnection { connection, is_clean: true, shared: self.shared.clone(), generation })
    }

    async fn recycle(
        &self,
        pooled: &mut PooledConnection,
        metrics: &Metrics,
    ) -> RecycleResult<ConnectError> {
        if pooled.generation != self.shared.generation.load(Ordering::Relaxed) {
            return Err(RecycleError::message("its server is gone"));
        }
        let is_alive = match &mut pooled.connection {
            Connection::Postgres { .. } if !pooled.is_clean => {
                return Err(RecycleError::message("its last statement was abandoned"));
            }
            Connection::Postgres { .. } if metrics.last_used() < PING_AFTER_IDLE => true,
            postgres @ Connection::Postgres { .. } => {
                matches!(within(PING_TIMEOUT, Box::pin(postgres.ping())).await, Some(Ok(())))
            }
            Connection::Sqlite(_) if pooled.is_clean => true,
            // It has finished what was abandoned by now, which may have begun a transaction or failed to end one.
            sqlite @ Connection::Sqlite(_) => match Box::pin(sqlite.command("ROLLBACK")).await {
                Ok(_) => true,
                Err(error) => StatementError::from(error).kind() == Kind::Refused,
            },
        };
        pooled.is_clean = is_alive;
        if is_alive {
            return Ok(());
        }
        self.shared.discard_connections();
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

/// A connection of a pool while it is used. It goes back when it is dropped.
pub type Acquired = Object<Connector>;

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
        let closed = || DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed);
        let unreachable =
            |error: String| DbErr::Conn(RuntimeErr::Internal(format!("DATABASE_URL: {error}")));
        match within(self.acquire_timeout, self.inner.get()).await {
            Some(Ok(acquired)) => Ok(acquired),
            Some(Err(PoolError::Backend(error))) => Err(unreachable(error.to_string())),
            Some(Err(_)) => Err(closed()),
            // All are in use, or the one that is being made gets no answer.
            None if self.inner.status().size >= self.inner.status().max_size => {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
            }
            None => {
                let (place, limit) = (self.shared.target.place(), self.acquire_timeout);
                Err(unreachable(format!("{place}: no answer within {limit:?}")))
            }
        }
    }

    /// Closes every connection: who asks afterwards is refused.
    pub fn close(&self) {
        self.inner.close();
    }
}

/// Closes a connection instead of giving it back. Its place in the pool is free at once.
pub fn discard(acquired: Acquired) {
    drop(Object::take(acquired));
}

/// Runs something on a connection that is not clean meanwhile.
///
/// # Errors
/// The statement's, or that it took too long.
pub async fn run<T>(
    pooled: &mut PooledConnection,
    limit: Option<Duration>,
    statement: impl AsyncFnOnce(&mut Connection) -> Result<T, sea_orm::sqlx::Error>,
) -> Result<T, StatementError> {
    pooled.is_clean = false;
    let running = statement(&mut pooled.connection);
    let done = match limit {
        None => running.await?,
        Some(limit) => within(limit, running).await.ok_or(StatementError::Timeout(limit))??,
    };
    pooled.is_clean = true;
    Ok(done)
}
