//! The database, and everything in which SQLite and PostgreSQL differ.
//!
//! SQLite has one writer: `begin` opens an IMMEDIATE transaction on the one writing connection, reads go
//! to connections of their own. PostgreSQL has connections for reads, for single writes, and for transactions.

use std::sync::Arc;
use std::time::Duration;

use connect::Target;
use pool::{Pool, Shared};
use sea_orm::{ConnectionTrait, DbBackend};
use statements::Purpose;
use work::BeginOptions;

use crate::config::database::{Database as Settings, DatabasePooler};
use crate::error::Result;

mod batch;
mod connect;
mod connection;
mod migrate;
mod pool;
mod probe;
mod readiness;
mod statement_error;
mod statements;
mod timeout;
mod work;
mod write_health;

pub use batch::{pad_to_pow2, split_to_pow2};
pub use migrate::{Migrated, MigrationLock};
pub use statement_error::is_unique_violation;
pub use statements::StatementPool;
pub use timeout::timeout;
pub use work::{Savepoint, Work};

/// How long a statement over many rows may take: retention, a batch of a job, sealing everything again.
pub const BATCH_LIMIT: Duration = Duration::from_secs(30);

/// A database.
#[derive(Clone, Debug)]
pub struct Database {
    settings: Settings,
    shared: Arc<Shared>,
    options: BeginOptions,
    reads: StatementPool,
    writes: StatementPool,
    transactions: Pool,
    /// What tells whether it is ready waits for nobody else.
    readiness: Pool,
}

impl Database {
    /// Describes the connections, and makes none yet.
    pub fn open(settings: &Settings) -> Self {
        let shared = Arc::new(Shared::new(Target::new(settings)));
        let is_pooled = settings.pooler == DatabasePooler::Transaction;
        let (backend, limit) = match shared.target {
            Target::Postgres { .. } => (DbBackend::Postgres, Some(settings.statement_timeout)),
            _ => (DbBackend::Sqlite, None),
        };
        let is_pooled = is_pooled && backend == DbBackend::Postgres;
        let options = BeginOptions { backend, limit, sets_limit: is_pooled, is_pooled };
        let acquire_timeout = shared.target.connect_timeout(settings.acquire_timeout);
        let pool = |size, is_read_only| Pool::new(&shared, size, acquire_timeout, is_read_only);
        let (reads, writes, transactions, readiness) = match shared.target {
            Target::SqliteMemory { .. } => {
                let only = pool(1, false);
                (only.clone(), only.clone(), only.clone(), only)
            }
            Target::SqliteFile { .. } => {
                let writer = pool(1, false);
                (pool(settings.connections, true), writer.clone(), writer, pool(1, true))
            }
            Target::Postgres { .. } => {
                // A read ends soonest, and waits for none of the others.
                let third = settings.connections / 3;
                let reads = settings.connections - 2 * third;
                (pool(reads, false), pool(third, false), pool(third, false), pool(1, false))
            }
        };
        Self {
            settings: settings.clone(),
            options,
            reads: StatementPool::new(reads, options, Purpose::Reads),
            writes: StatementPool::new(writes, options, Purpose::Writes),
            transactions,
            readiness,
            shared,
        }
    }

    /// Connects. A SQLite file that does not exist is made.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when it cannot be reached.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        let database = Self::open(settings);
        database.ping().await?;
        Ok(database)
    }

    /// For reads outside of a transaction.
    pub fn reads(&self) -> &StatementPool {
        &self.reads
    }

    /// For one statement that is all that changes: it is its own transaction.
    pub fn writes(&self) -> &StatementPool {
        &self.writes
    }

    /// A transaction that may write. On SQLite it is the only one at a time, so that within it
    /// everything goes through it: a read beside it would wait for itself in memory.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when no connection is free in time.
    pub async fn begin(&self) -> Result<Work> {
        Ok(Work::begin(&self.transactions, self.options).await?)
    }

    /// A transaction of which each statement may take so long: a report, a deletion of many rows.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when no connection is free in time.
    pub async fn begin_within(&self, limit: Duration) -> Result<Work> {
        let limit = self.options.limit.map(|_| limit);
        let options = BeginOptions { limit, sets_limit: true, ..self.options };
        Ok(Work::begin(&self.transactions, options).await?)
    }

    /// Whether it can be read and, for SQLite, opened for writing.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when it cannot.
    pub async fn ping(&self) -> Result<()> {
        self.reads.execute_unprepared("SELECT 1").await?;
        if self.options.backend == DbBackend::Sqlite {
            self.writes.execute_unprepared("SELECT 1").await?;
        }
        Ok(())
    }

    /// "SQLite in memory", "SQLite" or "PostgreSQL", for people.
    pub fn name(&self) -> &'static str {
        match self.shared.target {
            Target::SqliteMemory { .. } => "SQLite in memory",
            Target::SqliteFile { .. } => "SQLite",
            Target::Postgres { .. } => "PostgreSQL",
        }
    }

    /// Closes every connection: who asks afterwards is refused.
    pub fn close(&self) {
        self.reads.close();
        self.writes.close();
        self.transactions.close();
        self.readiness.close();
    }

    /// Whether a transaction may or may not have been committed since the last call, as its connection was lost.
    pub fn take_unknown_outcome(&self) -> bool {
        self.shared.health.take_unknown_outcome()
    }
}
