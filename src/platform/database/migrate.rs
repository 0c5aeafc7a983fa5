//! Bringing the tables up to date, by one instance at a time.

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

/// The advisory lock that migrating instances queue for; any constant of our own.
const ADVISORY_LOCK: i64 = 0x5377_6974_6368;

/// Held by the one instance that may change the tables.
#[derive(Debug)]
pub struct MigrationLock(Held);

#[derive(Debug)]
enum Held {
    /// SQLite in memory has its tables from the start.
    Nothing,
    File {
        connection: DatabaseConnection,
        file: File,
    },
    /// A connection of its own: the lock belongs to it, and no limit cuts waiting or a long change short.
    Session(DatabaseConnection),
    /// Behind a pooler a lock lasts as long as a transaction.
    Transaction {
        connection: DatabaseConnection,
        /// None while it is replaced.
        transaction: Option<DatabaseTransaction>,
    },
}

/// What migrating found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The changes that were applied now.
    pub applied: usize,
    /// The changes in the database that this binary does not know, because a newer one made them.
    pub unknown: Vec<String>,
}

impl Database {
    /// How many changes of the tables are not applied yet.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the database cannot be reached.
    pub async fn pending_migrations(&self) -> Result<usize, Error> {
        let applied = migration::applied(self.reads()).await?;
        let changes = Migrator::migrations();
        Ok(changes.iter().filter(|it| !applied.iter().any(|name| name == it.name())).count())
    }

    /// Waits until no other instance migrates, and keeps others waiting until the lock is released.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the database cannot be reached.
    pub async fn migration_lock(&self) -> Result<MigrationLock, Error> {
        let (target, limit) = (&self.shared.target, self.settings.acquire_timeout);
        let failed = |error: sqlx::Error| out_of_reach(&ConnectError::sqlx(target.place(), &error));
        match target {
            Target::SqliteMemory { .. } => Ok(MigrationLock(Held::Nothing)),
            Target::SqliteFile { options, .. } => {
                let file = lock_file(options.get_filename(), ".migrating").await;
                let file = file.map_err(Error::internal)?;
                let pool = one_connection(SqlitePoolOptions::new(), limit);
                let pool = Box::pin(pool.connect_with(SqliteConnectOptions::clone(options)))
                    .await
                    .map_err(failed)?;
                let connection = SqlxSqliteConnector::from_sqlx_sqlite_pool(pool);
                Ok(MigrationLock(Held::File { connection, file }))
            }
            Target::Postgres { pooler, .. } => {
                let connecting = Box::pin(target.writable_host());
                let host = timeout(target.connect_timeout(limit), connecting).await;
                let host = host.unwrap_or_else(|| Err(target.no_answer_within(limit)));
                let host = host.map_err(|error| out_of_reach(&error))?;
                let options = host.cloned().unwrap_or_default();
                let pool = one_connection(PgPoolOptions::new(), limit);
                let pool = Box::pin(pool.connect_with(options)).await.map_err(failed)?;
                let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
                Ok(MigrationLock(match pooler {
                    DatabasePooler::Transaction => {
                        let transaction = Some(locked_transaction(&connection).await?);
                        Held::Transaction { connection, transaction }
                    }
                    DatabasePooler::None => {
                        let sql = format!(
                            "SET statement_timeout = 0; SELECT pg_advisory_lock({ADVISORY_LOCK})"
                        );
                        connection.execute_unprepared(&sql).await?;
                        Held::Session(connection)
                    }
                }))
            }
        }
    }
}

/// One connection, which is never made again: the lock would stay behind.
fn one_connection<DB: sqlx::Database>(pool: PoolOptions<DB>, limit: Duration) -> PoolOptions<DB> {
    pool.max_connections(1)
        .acquire_timeout(limit)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Statements that stay prepared would meet those of others on the same server connection.
const FORGET_STATEMENTS: &str = "DEALLOCATE ALL";

async fn locked_transaction(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = connection.begin().await?;
    let sql = format!(
        "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({ADVISORY_LOCK}); {FORGET_STATEMENTS}"
    );
    transaction.execute_unprepared(&sql).await?;
    Ok(transaction)
}

fn out_of_reach(error: &ConnectError) -> Error {
    let cause = format!("DATABASE_URL: {error}");
    Error::ours(ErrorCode::ServiceUnavailable, "The database is out of reach. Try again.", cause)
}

impl MigrationLock {
    /// Applies what is missing. A database that is ahead of this binary is left as it is.
    ///
    /// # Errors
    /// Internal, when a change fails, which is rolled back; or when an unreleased version made the database.
    pub async fn migrate(&mut self) -> Result<Migrated, Error> {
        match &mut self.0 {
            Held::Nothing => Ok(Migrated::default()),
            Held::File { connection, .. } | Held::Session(connection) => {
                migrate(&*connection).await
            }
            Held::Transaction { connection, transaction } => {
                let migrating =
                    transaction.take().ok_or_else(|| Error::internal("migrated twice"))?;
                let migrated = migrate(&migrating).await?;
                migrating.execute_unprepared(FORGET_STATEMENTS).await?;
                migrating.commit().await?;
                // The lock went with the transaction.
                *transaction = Some(locked_transaction(connection).await?);
                Ok(migrated)
            }
        }
    }

    /// Lets the next instance go on.
    ///
    /// # Errors
    /// Internal, when the connection cannot be closed.
    pub async fn release(self) -> Result<(), Error> {
        match self.0 {
            Held::Nothing => Ok(()),
            Held::File { connection, file } => {
                connection.close().await?;
                file.unlock().map_err(Error::internal)
            }
            Held::Session(connection) => Ok(connection.close().await?),
            Held::Transaction { connection, transaction } => {
                drop(transaction);
                Ok(connection.close().await?)
            }
        }
    }
}

async fn migrate<'c, C>(connection: &'c C) -> Result<Migrated, Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let applied = migration::applied(connection).await?;
    let known: Vec<String> =
        Migrator::migrations().iter().map(|change| change.name().to_owned()).collect();
    if !applied.is_empty() && !applied.contains(&known[0]) {
        return Err(Error::internal(
            "The database was made by an unreleased version of Switchboard. Delete it (the folder ./data, \
             unless DATABASE_URL names another database), then start again.",
        ));
    }
    let missing = known.iter().filter(|name| !applied.contains(name)).count();
    let unknown = applied.into_iter().filter(|name| !known.contains(name)).collect();
    // The migrator itself refuses a database with changes that it does not know.
    if missing > 0 {
        Box::pin(Migrator::up(connection, None)).await?;
    }
    Ok(Migrated { applied: missing, unknown })
}
