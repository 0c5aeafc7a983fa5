//! Database migration by one instance at a time, under a lock.

use std::fs::File;
use std::time::Duration;

use migration::{IntoSchemaManagerConnection, Migrator, MigratorTrait};
use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqlxPostgresConnector,
    SqlxSqliteConnector, TransactionTrait, sqlx,
};

use super::Database;
use super::connect::{ConnectError, Target, lock_file};
use super::timeout::timeout;
use crate::config::database::DatabasePooler;
use crate::error::{Error, ErrorCode};

/// Key of the advisory lock, an arbitrary constant.
const ADVISORY_LOCK: i64 = 0x5377_6974_6368;

/// The lock of the instance that migrates.
#[derive(Debug)]
pub struct MigrationLock(HeldLock);

#[derive(Debug)]
enum HeldLock {
    /// SQLite in memory needs no lock, as it has its tables from the start.
    None,
    File {
        connection: DatabaseConnection,
        file: File,
    },
    /// A separate connection, which owns the lock and has no statement timeout.
    Session(DatabaseConnection),
    /// Behind a pooler, a lock belongs to a transaction.
    Transaction {
        connection: DatabaseConnection,
        /// None while [`MigrationLock::migrate`] replaces it.
        transaction: Option<DatabaseTransaction>,
    },
}

/// The outcome of a migration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MigrationOutcome {
    /// Number of migrations that were applied now.
    pub applied: usize,
    /// Migrations in the database that this binary does not know, applied by a newer one.
    pub unknown: Vec<String>,
}

impl Database {
    /// Counts the migrations that are not applied yet.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the database is unreachable.
    pub async fn count_pending_migrations(&self) -> Result<usize, Error> {
        let applied = migration::applied_names(self.reads()).await?;
        let is_applied = |name: &str| applied.iter().any(|applied_name| applied_name == name);
        Ok(Migrator::migrations().iter().filter(|migration| !is_applied(migration.name())).count())
    }

    /// Acquires the migration lock. Waits while another instance holds it.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE if the database is unreachable.
    pub async fn acquire_migration_lock(&self) -> Result<MigrationLock, Error> {
        let (target, max_wait) = (&self.shared.target, self.config.acquire_timeout);
        let to_error = |error: sqlx::Error| {
            unreachable_error(&ConnectError::from_sqlx(target.address(), &error))
        };
        match target {
            Target::SqliteMemory { .. } => Ok(MigrationLock(HeldLock::None)),
            Target::SqliteFile { options, .. } => {
                let file = lock_file(options.get_filename(), ".migrating").await;
                let file = file.map_err(Error::internal)?;
                let pool = single_connection_options(SqlitePoolOptions::new(), max_wait);
                let pool = Box::pin(pool.connect_with(SqliteConnectOptions::clone(options)))
                    .await
                    .map_err(to_error)?;
                let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
                Ok(MigrationLock(HeldLock::File { connection, file }))
            }
            Target::Postgres { pooler, .. } => {
                let finding_host = Box::pin(target.find_writable_host());
                let host = timeout(target.connect_timeout(max_wait), finding_host).await;
                let host = host.unwrap_or_else(|| Err(target.timeout_error(max_wait)));
                let host = host.map_err(|error| unreachable_error(&error))?;
                let options = host.cloned().unwrap_or_default();
                let pool = single_connection_options(PgPoolOptions::new(), max_wait);
                let pool = Box::pin(pool.connect_with(options)).await.map_err(to_error)?;
                let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
                Ok(MigrationLock(match pooler {
                    DatabasePooler::Transaction => {
                        let transaction = Some(begin_locked(&connection).await?);
                        HeldLock::Transaction { connection, transaction }
                    }
                    DatabasePooler::None => {
                        let sql = format!(
                            "SET statement_timeout = 0; SELECT pg_advisory_lock({ADVISORY_LOCK})"
                        );
                        connection.execute_unprepared(&sql).await?;
                        HeldLock::Session(connection)
                    }
                }))
            }
        }
    }
}

/// Limits a pool to a single connection that is never replaced, because a new one would not own the lock.
fn single_connection_options<DB: sqlx::Database>(
    pool: PoolOptions<DB>,
    max_wait: Duration,
) -> PoolOptions<DB> {
    pool.max_connections(1)
        .acquire_timeout(max_wait)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Drops prepared statements, which would clash with those of other clients of the pooler's connection.
const DEALLOCATE_STATEMENTS: &str = "DEALLOCATE ALL";

async fn begin_locked(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = connection.begin().await?;
    let sql = format!(
        "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({ADVISORY_LOCK}); {DEALLOCATE_STATEMENTS}"
    );
    transaction.execute_unprepared(&sql).await?;
    Ok(transaction)
}

fn unreachable_error(error: &ConnectError) -> Error {
    let cause = format!("DATABASE_URL: {error}");
    Error::with_cause(
        ErrorCode::ServiceUnavailable,
        "The database is out of reach. Try again.",
        cause,
    )
}

impl MigrationLock {
    /// Applies the pending migrations. A database ahead of this binary stays unchanged. Fails if a migration fails,
    /// which is rolled back, or if an unreleased version created the database.
    pub async fn migrate(&mut self) -> Result<MigrationOutcome, Error> {
        match &mut self.0 {
            HeldLock::None => Ok(MigrationOutcome::default()),
            HeldLock::File { connection, .. } | HeldLock::Session(connection) => {
                migrate(&*connection).await
            }
            HeldLock::Transaction { connection, transaction } => {
                let tx = transaction.take().ok_or_else(|| Error::internal("migrated twice"))?;
                let outcome = migrate(&tx).await?;
                tx.execute_unprepared(DEALLOCATE_STATEMENTS).await?;
                tx.commit().await?;
                // The commit released the lock.
                *transaction = Some(begin_locked(connection).await?);
                Ok(outcome)
            }
        }
    }

    /// Releases the lock.
    pub async fn release(self) -> Result<(), Error> {
        match self.0 {
            HeldLock::None => Ok(()),
            HeldLock::File { connection, file } => {
                connection.close().await?;
                file.unlock().map_err(Error::internal)
            }
            HeldLock::Session(connection) => Ok(connection.close().await?),
            HeldLock::Transaction { connection, transaction } => {
                drop(transaction);
                Ok(connection.close().await?)
            }
        }
    }
}

async fn migrate<'c, C>(connection: &'c C) -> Result<MigrationOutcome, Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let applied = migration::applied_names(connection).await?;
    let migrations: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    // An unreleased version had another set of migrations, whose first one has another name.
    if !applied.is_empty() && !applied.contains(&migrations[0]) {
        return Err(Error::internal(
            "The database was made by an unreleased version of Switchboard. Delete it (the folder ./data, \
             unless DATABASE_URL names another database), then start again.",
        ));
    }
    let pending = migrations.iter().filter(|name| !applied.contains(name)).count();
    let unknown = applied.into_iter().filter(|name| !migrations.contains(name)).collect();
    // Otherwise skipped: the migrator refuses a database with unknown migrations.
    if pending > 0 {
        Box::pin(Migrator::up(connection, None)).await?;
    }
    Ok(MigrationOutcome { applied: pending, unknown })
}
