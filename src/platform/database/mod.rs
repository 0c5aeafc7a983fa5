//! Database access, which hides the differences between SQLite and PostgreSQL.
//!
//! SQLite allows one writer: `begin` opens an IMMEDIATE transaction on the single writing connection, and reads have
//! connections of their own. PostgreSQL has a pool each for reads, single writes, transactions and batches. Reports
//! have a small pool of their own on both.

use std::sync::Arc;
use std::time::Duration;

use connect::Target;
use pool::{Pool, SharedState};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use statement_pool::AccessMode;
use unit_of_work::BeginOptions;

use crate::config::database::{DatabaseConfig, DatabasePooler};
use crate::error::Result;
use crate::platform::events::Events;

mod batch;
mod connect;
mod connection;
mod effects;
mod migrate;
mod next_number;
mod pool;
mod readiness;
mod row_set;
mod statement_error;
mod statement_pool;
mod timeout;
mod transaction_lock;
mod unit_of_work;
mod write_health;
mod write_probe;

pub use batch::{pad_to_pow2, split_to_pow2};
pub use migrate::{MigrationLock, MigrationOutcome};
pub use next_number::next_number;
pub(crate) use row_set::row_set_sql;
pub use row_set::{MAX_ROWS, RowSetSql, RowUuid, plan_each_statement, row_timestamp};
pub use statement_error::is_unique_violation;
pub use statement_pool::StatementPool;
pub use timeout::timeout;
pub use transaction_lock::TransactionLock;
pub use unit_of_work::{Savepoint, Work};

/// Timeout of each statement of a batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);
const BATCH_CONNECTIONS: u32 = 3;

/// Timeout of each statement of a report.
pub const REPORT_TIMEOUT: Duration = Duration::from_secs(8);
const REPORT_CONNECTIONS: u32 = 2;

/// The database, with its connection pools.
#[derive(Clone)]
pub struct Database {
    config: DatabaseConfig,
    /// Where units of work publish.
    events: Events,
    shared: Arc<SharedState>,
    options: BeginOptions,
    reads: StatementPool,
    writes: StatementPool,
    reports: StatementPool,
    transactions: Pool,
    /// Transactions that write many rows.
    batches: Pool,
    /// A separate pool, so that the readiness check never waits for other work.
    readiness: Pool,
}

impl Database {
    /// Creates the pools, without connecting. Units of work publish on this event bus.
    pub fn new(config: &DatabaseConfig, events: Events) -> Self {
        let shared = Arc::new(SharedState::new("DATABASE_URL", Target::new(config)));
        let has_pooler = config.pooler == DatabasePooler::Transaction;
        let (backend, timeout) = match shared.target {
            Target::Postgres { .. } => (DbBackend::Postgres, Some(config.statement_timeout)),
            _ => (DbBackend::Sqlite, None),
        };
        let is_behind_pooler = has_pooler && backend == DbBackend::Postgres;
        let sets_timeout = is_behind_pooler;
        let options =
            BeginOptions { backend, timeout, sets_timeout, is_behind_pooler, is_read_only: false };
        let acquire_timeout = shared.target.connect_timeout(config.acquire_timeout);
        let pool = |size, is_read_only| Pool::new(&shared, size, acquire_timeout, is_read_only);
        let (reads, writes, transactions, batches, readiness) = match shared.target {
            Target::SqliteMemory { .. } => {
                let only = pool(1, false);
                (only.clone(), only.clone(), only.clone(), only.clone(), only)
            }
            Target::SqliteFile { .. } => {
                let writer = pool(1, false);
                let reads = pool(config.max_connections, true);
                (reads, writer.clone(), writer.clone(), writer, pool(1, true))
            }
            Target::Postgres { .. } => {
                // Separate pools, so that a short read never waits for a transaction.
                let third = config.max_connections / 3;
                let reads = pool(config.max_connections - 2 * third, false);
                let (writes, transactions) = (pool(third, false), pool(third, false));
                (reads, writes, transactions, pool(BATCH_CONNECTIONS, false), pool(1, false))
            }
        };
        let reports = match shared.target {
            // It has one connection.
            Target::SqliteMemory { .. } => {
                let options = BeginOptions { is_read_only: true, ..options };
                StatementPool::new(transactions.clone(), options, AccessMode::Report)
            }
            _ => report_pool(config, options),
        };
        Self {
            config: config.clone(),
            events,
            options,
            reads: StatementPool::new(reads, options, AccessMode::ReadOnly),
            writes: StatementPool::new(writes, options, AccessMode::ReadWrite),
            reports,
            transactions,
            batches,
            readiness,
            shared,
        }
    }

    /// Connects. Creates a missing SQLite file.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the database is unreachable.
    pub async fn connect(config: &DatabaseConfig, events: Events) -> Result<Self> {
        let database = Self::new(config, events);
        database.ping().await?;
        Ok(database)
    }

    /// The pool for reads outside of a transaction.
    pub fn reads(&self) -> &StatementPool {
        &self.reads
    }

    /// The pool for single writes. Each statement is its own transaction.
    pub fn writes(&self) -> &StatementPool {
        &self.writes
    }

    /// The pool for reports: long reads, on the replica if there is one. Each statement may take [`REPORT_TIMEOUT`], and
    /// writes are errors. It has connections of its own, so that requests never wait for a report.
    pub fn reporting(&self) -> &StatementPool {
        &self.reports
    }

    /// Begins a report of several statements, which all see the database at one moment. It only reads: drop it at the end.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if no connection is free in time.
    pub async fn begin_report(&self) -> Result<Work> {
        Ok(self.reports.begin(&self.events).await?)
    }

    /// Begins a transaction. SQLite has one at a time, so its owner must also read through it: with SQLite in memory, a
    /// read outside would wait for the transaction forever.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if no connection is free in time.
    pub async fn begin(&self) -> Result<Work> {
        Ok(Work::begin(&self.transactions, self.options, &self.events).await?)
    }

    /// Begins a transaction that writes many rows, such as a chunk of an import or a large deletion. Each of its
    /// statements may take 30 s. PostgreSQL has connections for it, so that requests never wait for a batch.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if no connection is free in time.
    pub async fn begin_batch(&self) -> Result<Work> {
        let timeout = self.options.timeout.map(|_| BATCH_TIMEOUT);
        let options = BeginOptions { timeout, sets_timeout: true, ..self.options };
        Ok(Work::begin(&self.batches, options, &self.events).await?)
    }

    /// Begins a transaction that only reads the database as it was at one moment, and holds nobody up. Unlike a report, it
    /// never reads from a replica, which may be behind, and each of its statements may take as long as those of a batch.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if no connection is free in time.
    pub async fn begin_snapshot(&self) -> Result<Work> {
        let (pool, timeout) = match self.options.backend {
            DbBackend::Postgres => (&self.batches, Some(BATCH_TIMEOUT)),
            _ => (self.reads.pool(), None),
        };
        let options =
            BeginOptions { timeout, sets_timeout: true, is_read_only: true, ..self.options };
        Ok(Work::begin(pool, options, &self.events).await?)
    }

    /// Checks that the database can be read and, for SQLite, opened for writing.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if it cannot.
    pub async fn ping(&self) -> Result<()> {
        self.reads.execute_unprepared("SELECT 1").await?;
        if self.options.backend == DbBackend::Sqlite {
            self.writes.execute_unprepared("SELECT 1").await?;
        }
        Ok(())
    }

    /// Checks that reports can read.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if they cannot.
    pub async fn ping_reporting(&self) -> Result<()> {
        let statement = Statement::from_string(self.options.backend, "SELECT 1");
        self.reports.query_one_raw(statement).await?;
        Ok(())
    }

    /// "SQLite in memory", "SQLite" or "PostgreSQL", for messages to operators.
    pub fn product_name(&self) -> &'static str {
        match self.shared.target {
            Target::SqliteMemory { .. } => "SQLite in memory",
            Target::SqliteFile { .. } => "SQLite",
            Target::Postgres { .. } => "PostgreSQL",
        }
    }

    /// Closes all connections. Later statements fail.
    pub fn close(&self) {
        self.reads.close();
        self.writes.close();
        self.reports.close();
        self.transactions.close();
        self.batches.close();
        self.readiness.close();
    }

    /// Whether a commit had an unknown outcome since the last call, because its connection was lost.
    pub fn take_unknown_outcome(&self) -> bool {
        self.shared.health.take_unknown_outcome()
    }
}

/// A small pool for reports, whose failures and timeouts concern no other connection.
fn report_pool(config: &DatabaseConfig, options: BeginOptions) -> StatementPool {
    let config = DatabaseConfig { statement_timeout: REPORT_TIMEOUT, ..config.clone() };
    let (setting, target) = Target::for_reports(&config);
    let shared = Arc::new(SharedState::new(setting, target));
    let acquire_timeout = shared.target.connect_timeout(config.acquire_timeout);
    let pool = Pool::new(&shared, REPORT_CONNECTIONS, acquire_timeout, true);
    let options = BeginOptions { timeout: Some(REPORT_TIMEOUT), is_read_only: true, ..options };
    StatementPool::new(pool, options, AccessMode::Report)
}
