//! Connection pools. A connection returns to its pool only in a known state.

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

/// A connection that was idle for longer is pinged before use.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);
/// How long a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// State that all pools of a database share.
#[derive(Debug)]
pub struct SharedState {
    /// The setting that names the target.
    setting: &'static str,
    /// The server or file to connect to.
    pub target: Target,
    /// Connections of an earlier generation are closed, as their server is gone.
    generation: AtomicU64,
    /// Whether writes succeed.
    pub health: WriteHealth,
}

impl SharedState {
    /// State before the first connection to the target that a setting names.
    pub fn new(setting: &'static str, target: Target) -> Self {
        Self { setting, target, generation: AtomicU64::new(0), health: WriteHealth::default() }
    }

    /// Closes all existing connections when they are next used.
    pub fn discard_connections(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a connection's state is known after a failure, so that it can be used further. After many errors SQLite
    /// rolls back on its own, but not after a constraint violation or Busy. SQLite in memory keeps its data in the
    /// connection, which is therefore kept whenever a rollback can restore a known state.
    pub fn is_usable_after(&self, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Constraint | FailureKind::Busy => true,
            FailureKind::Refused => !matches!(self.target, Target::SqliteFile { .. }),
            FailureKind::Storage => matches!(self.target, Target::Postgres { .. }),
            FailureKind::Disconnected => false,
        }
    }
}

/// Opens connections, and checks idle ones before reuse.
#[derive(Debug)]
pub struct Connector {
    shared: Arc<SharedState>,
    is_read_only: bool,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Nothing.
    Idle,
    /// In a transaction, between two statements.
    InTransaction,
    /// Running a statement whose caller no longer waits, or after an unexpected failure.
    Unknown,
}

/// A connection of a pool.
#[derive(Debug)]
pub struct PooledConnection {
    /// The underlying connection.
    pub connection: Connection,
    /// What the connection is doing.
    pub state: ConnectionState,
    /// State that all pools of the database share.
    pub shared: Arc<SharedState>,
    generation: u64,
}

impl PooledConnection {
    /// Runs a statement with a timeout. If the future is dropped, the state stays unknown.
    pub async fn run<T>(
        &mut self,
        max_duration: Option<Duration>,
        statement: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StatementError> {
        let previous = std::mem::replace(&mut self.state, ConnectionState::Unknown);
        let running = statement(&mut self.connection);
        let result = match max_duration {
            None => running.await?,
            Some(max) => match timeout(max, running).await {
                Some(result) => result?,
                None => {
                    self.connection.interrupt();
                    return Err(StatementError::Timeout(max));
                }
            },
        };
        self.state = previous;
        Ok(result)
    }

    /// Closes all connections of the same generation when they are next used.
    pub fn discard_generation(&self) {
        // A late failure of an old connection must not close newer ones.
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
        // Boxed, as this large and rare future is part of every future that acquires a connection.
        let connection = Box::pin(self.shared.target.connect(self.is_read_only)).await?;
        let shared = self.shared.clone();
        Ok(PooledConnection { connection, state: ConnectionState::Idle, shared, generation })
    }

    async fn recycle(
        &self,
        pooled: &mut PooledConnection,
        metrics: &Metrics,
    ) -> RecycleResult<ConnectError> {
        // SQLite has no server. In memory, an await here could lose the data: cancelling it drops the connection.
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
        pooled.discard_generation();
        Err(RecycleError::message("it does not answer"))
    }
}

/// A pool of connections to a database.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: managed::Pool<Connector>,
    shared: Arc<SharedState>,
    acquire_timeout: Duration,
}

impl Pool {
    /// Creates a pool that connects on demand.
    pub fn new(
        shared: &Arc<SharedState>,
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

    /// State that all pools of the database share.
    pub fn shared(&self) -> &Arc<SharedState> {
        &self.shared
    }

    /// Takes a connection from the pool, or opens one. Fails with `DbErr::Conn` if it cannot be opened, and with
    /// `DbErr::ConnectionAcquire` if none becomes free in time.
    pub async fn acquire(&self) -> Result<AcquiredConnection, DbErr> {
        let setting = self.shared.setting;
        let unreachable =
            |error: String| DbErr::Conn(RuntimeErr::Internal(format!("{setting}: {error}")));
        match timeout(self.acquire_timeout, self.inner.get()).await {
            Some(Ok(object)) => Ok(AcquiredConnection(Some(object))),
            Some(Err(PoolError::Backend(error))) => Err(unreachable(error.to_string())),
            Some(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            // All connections are in use. Otherwise the server did not respond to a new one.
            None if self.inner.status().size >= self.inner.status().max_size => {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
            }
            None => {
                let error = self.shared.target.timeout_error(self.acquire_timeout);
                Err(unreachable(error.to_string()))
            }
        }
    }

    /// Closes all connections. Later calls of `acquire` fail.
    pub fn close(&self) {
        self.inner.close();
    }
}

/// A connection in use. When dropped, it returns to its pool once it is idle.
#[derive(Debug)]
pub struct AcquiredConnection(Option<Object<Connector>>);

impl AcquiredConnection {
    /// Closes the connection, and frees its slot in the pool.
    pub fn discard(mut self) {
        self.0.take().map(Object::take);
    }
}

impl Deref for AcquiredConnection {
    type Target = PooledConnection;

    fn deref(&self) -> &PooledConnection {
        self.0.as_ref().expect("present until dropped")
    }
}

impl DerefMut for AcquiredConnection {
    fn deref_mut(&mut self) -> &mut PooledConnection {
        self.0.as_mut().expect("present until dropped")
    }
}

impl Drop for AcquiredConnection {
    fn drop(&mut self) {
        let Some(object) = self.0.take().filter(|object| object.state != ConnectionState::Idle)
        else {
            return;
        };
        let is_postgres = matches!(object.connection, Connection::Postgres { .. });
        match tokio::runtime::Handle::try_current() {
            // Closing is faster than waiting for the statement to end.
            Ok(_)
                if object.state == ConnectionState::Unknown
                    && (is_postgres || object.connection.interrupt()) =>
            {
                drop(Object::take(object));
            }
            Ok(runtime) => drop(runtime.spawn(roll_back(object))),
            // The process is ending.
            Err(_) => drop(Object::take(object)),
        }
    }
}

/// Rolls back the transaction of a connection, or closes the connection if that fails.
async fn roll_back(mut object: Object<Connector>) {
    let is_sqlite = matches!(object.connection, Connection::Sqlite { .. });
    let max_duration = (!is_sqlite).then_some(PING_TIMEOUT);
    // No timeout for SQLite, which first completes the running statement.
    let result =
        object.run(max_duration, async |connection| connection.execute_sql("ROLLBACK").await).await;
    let is_idle = match result {
        Ok(_) => true,
        // SQLite has already rolled back.
        Err(failure) => is_sqlite && failure.kind() == FailureKind::Refused,
    };
    match is_idle {
        true => object.state = ConnectionState::Idle,
        false => drop(Object::take(object)),
    }
}
