//! The database, and everything in which SQLite and PostgreSQL differ.
//!
//! SQLite has one writer: `begin` opens an IMMEDIATE transaction on the one writing connection, reads go
//! to connections of their own. PostgreSQL has connections for reads, for single writes, and for transactions.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait, sqlx,
};
use secrecy::ExposeSecret;

use super::private_files::make_file;
use super::statements::{Statements, TRIED_AFTER_IDLE};
use crate::config::{self, DatabaseTls};
use crate::error::{Error, ErrorCode};

/// How long SQLite's writer waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What the server knows us by.
const NAME: &str = "switchboard";
/// The advisory lock that migrating instances queue for; any constant of our own.
const MIGRATION_LOCK: i64 = 0x5377_6974_6368;

/// A database that is connected.
#[derive(Clone, Debug)]
pub struct Database {
    kind: Kind,
    reads: Statements,
    writes: Statements,
    transactions: DatabaseConnection,
    settings: config::Database,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    SqliteMemory,
    SqliteFile(PathBuf),
    Postgres,
}

impl Database {
    /// Connects. A SQLite file that does not exist is made.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when it cannot be reached.
    pub async fn connect(settings: &config::Database) -> Result<Self, Error> {
        let url = settings.url.expose_secret();
        let kind = match url.strip_prefix("sqlite:") {
            None => Kind::Postgres,
            Some(":memory:" | "//:memory:") => Kind::SqliteMemory,
            Some(_) => {
                let options: SqliteConnectOptions = url.parse().map_err(Error::internal)?;
                Kind::SqliteFile(options.get_filename().to_owned())
            }
        };
        let (reads, writes, transactions) = match &kind {
            Kind::Postgres => {
                // A read is over soonest, and waits for none of the others.
                let third = settings.connections / 3;
                let transactions = sea_orm::Database::connect(postgres(settings, third)).await?;
                let options = postgres_statements(settings)?;
                let statements = |most: u32| {
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    Statements::postgres(options.clone(), most, settings.acquire_timeout)
                };
                (statements(settings.connections - 2 * third), statements(third), transactions)
            }
            Kind::SqliteMemory => {
                let only =
                    sea_orm::Database::connect(sqlite("sqlite::memory:", 1, settings)).await?;
                let statements = Statements::Sqlite(only.clone());
                (statements.clone(), statements, only)
            }
            Kind::SqliteFile(path) => {
                // SQLite gives the files beside it the same permissions.
                make_file(path)
                    .map_err(|error| Error::internal(format!("{}: {error}", path.display())))?;
                // SQLite does not wait for another process that turns the same file to WAL.
                let _opening = lock_beside(path, ".opening").await?;
                let writes = sea_orm::Database::connect(sqlite(url, 1, settings)).await?;
                let mut readers = sqlite(url, settings.connections, settings);
                readers.map_sqlx_sqlite_opts(|options| options.pragma("query_only", "on"));
                let readers = sea_orm::Database::connect(readers).await?;
                (Statements::Sqlite(readers), Statements::Sqlite(writes.clone()), writes)
            }
        };
        Ok(Self { kind, reads, writes, transactions, settings: settings.clone() })
    }

    /// For reads outside of a transaction.
    pub fn reads(&self) -> &Statements {
        &self.reads
    }

    /// For one statement that is all that changes: it is its own transaction.
    pub fn writes(&self) -> &Statements {
        &self.writes
    }

    /// A transaction that may write. On SQLite it is the only one at a time, so that inside a deed
    /// everything goes through it: a read beside it would wait for itself in memory.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when no connection is free in time.
    pub async fn begin(&self) -> Result<DatabaseTransaction, Error> {
        let sqlite_transaction_mode =
            (self.kind != Kind::Postgres).then_some(SqliteTransactionMode::Immediate);
        let options =
            TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        Ok(self.transactions.begin_with_options(options).await?)
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.reads.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// How many changes of the tables are to be applied still.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the database cannot be reached.
    pub async fn missing_changes(&self) -> Result<usize, Error> {
        let applied = migration::applied(&self.transactions).await?;
        Ok(Migrator::migrations()
            .iter()
            .filter(|change| !applied.iter().any(|name| name == change.name()))
            .count())
    }

    /// "SQLite in memory", "SQLite" or "PostgreSQL", for people.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::SqliteMemory => "SQLite in memory",
            Kind::SqliteFile(_) => "SQLite",
            Kind::Postgres => "PostgreSQL",
        }
    }

    /// Waits until no other instance migrates, and keeps others waiting until the lock is dropped.
    ///
    /// # Errors
    /// SERVICE_UNAVAILABLE when the database cannot be reached.
    pub async fn migration_lock(&self) -> Result<MigrationLock, Error> {
        match &self.kind {
            Kind::SqliteMemory => {
                Ok(MigrationLock { connection: self.transactions.clone(), file: None })
            }
            Kind::SqliteFile(path) => {
                let file = lock_beside(path, ".migrating").await?;
                Ok(MigrationLock { connection: self.transactions.clone(), file: Some(file) })
            }
            Kind::Postgres => {
                // A connection of its own: the lock belongs to it, and neither waiting for it nor
                // a long migration is cut short by the statement timeout.
                let mut patient = self.settings.clone();
                patient.statement_timeout = Duration::ZERO;
                let connection = sea_orm::Database::connect(postgres(&patient, 1)).await?;
                connection
                    .execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))
                    .await?;
                Ok(MigrationLock { connection, file: None })
            }
        }
    }
}

/// Held by the one instance that may change the tables.
#[derive(Debug)]
pub struct MigrationLock {
    connection: DatabaseConnection,
    file: Option<File>,
}

/// What migrating found.
#[derive(Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The changes that were applied now.
    pub applied: usize,
    /// The changes in the database that this binary does not know, because a newer one made them.
    pub unknown: Vec<String>,
}

impl MigrationLock {
    /// Applies what is missing. A database that is ahead of this binary is left as it is.
    ///
    /// # Errors
    /// Internal, when a change fails; it is rolled back where the database can.
    pub async fn migrate(&self) -> Result<Migrated, Error> {
        let known: Vec<String> =
            Migrator::migrations().iter().map(|change| change.name().to_owned()).collect();
        let applied = Migrator::get_migration_models(&self.connection).await?;
        let is_applied = |name: &String| applied.iter().any(|row| row.version == *name);
        let missing = known.iter().filter(|name| !is_applied(name)).count();
        let unknown: Vec<String> = applied
            .iter()
            .map(|row| row.version.clone())
            .filter(|name| !known.contains(name))
            .collect();
        // The migrator itself refuses a database with changes that it does not know.
        if missing > 0 {
            Migrator::up(&self.connection, None).await?;
        }
        Ok(Migrated { applied: missing, unknown })
    }

    /// Lets the next instance go on.
    ///
    /// # Errors
    /// Internal, when the connection cannot be closed.
    pub async fn release(self) -> Result<(), Error> {
        match self.file {
            Some(file) => file.unlock().map_err(Error::internal),
            None if self.connection.get_database_backend() == sea_orm::DbBackend::Postgres => {
                Ok(self.connection.close().await?)
            }
            None => Ok(()),
        }
    }
}

/// Waits for a lock among the processes of this machine, held until the file is closed.
async fn lock_beside(path: &Path, suffix: &str) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(name)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    locked.await.map_err(Error::internal)?.map_err(Error::internal)
}

/// Whether a statement failed because another row has the same values in these columns. The unique
/// index is named `<table>_<columns>`, which is how PostgreSQL tells it; SQLite names the columns.
pub fn is_taken(error: &DbErr, table: &str, columns: &[&str]) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let sqlx::Error::Database(error) = &**error else { return false };
    if !error.is_unique_violation() {
        return false;
    }
    match error.constraint() {
        Some(index) => index == format!("{table}_{}", columns.join("_")),
        None => {
            let named: Vec<String> =
                columns.iter().map(|column| format!("{table}.{column}")).collect();
            error.message().ends_with(&named.join(", "))
        }
    }
}

impl From<DbErr> for Error {
    /// Out of reach or busy is SERVICE_UNAVAILABLE, everything else is ours to mend.
    fn from(error: DbErr) -> Self {
        let is_passing = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner)) => match &**inner {
                sqlx::Error::Database(inner) => inner.code().is_some_and(|code| is_passing(&code)),
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                _ => false,
            },
            _ => false,
        };
        match is_passing {
            true => Self::ours(
                ErrorCode::ServiceUnavailable,
                "The database is out of reach. Try again.",
                error,
            ),
            false => Self::internal(error),
        }
    }
}

/// Whether a database's own error code says that the same may succeed later.
fn is_passing(code: &str) -> bool {
    // SQLite: busy, locked, disk full; the upper bits of the number tell more of the same.
    const SQLITE: [u32; 3] = [5, 6, 13];
    // PostgreSQL, by the classes of its appendix A: connection, transaction rollback (serialization,
    // deadlock), insufficient resources, operator intervention (shutdown, timeout).
    const POSTGRES: [&str; 4] = ["08", "40", "53", "57"];
    match code.len() {
        5 => POSTGRES.iter().any(|class| code.starts_with(class)),
        _ => code.parse().is_ok_and(|code: u32| SQLITE.contains(&(code & 0xff))),
    }
}

fn postgres(settings: &config::Database, connections: u32) -> ConnectOptions {
    let mut options = common(settings.url.expose_secret(), connections, settings);
    if !settings.statement_timeout.is_zero() {
        options.statement_timeout(settings.statement_timeout);
    }
    options.set_application_name(NAME).test_before_acquire_if_idle_for(TRIED_AFTER_IDLE);
    if let Some(tls) = tls_of(settings) {
        options.map_sqlx_postgres_opts(move |options| options.ssl_mode(tls));
    }
    options
}

fn postgres_statements(settings: &config::Database) -> Result<PgConnectOptions, Error> {
    let url = settings.url.expose_secret();
    let mut options: PgConnectOptions = url.parse().map_err(Error::internal)?;
    if !settings.statement_timeout.is_zero() {
        let millis = settings.statement_timeout.as_millis().to_string();
        options = options.options([("statement_timeout", millis)]);
    }
    if let Some(tls) = tls_of(settings) {
        options = options.ssl_mode(tls);
    }
    Ok(options.application_name(NAME))
}

/// None where the URL says it itself: that is the more particular word.
fn tls_of(settings: &config::Database) -> Option<PgSslMode> {
    let says_itself = settings.url.expose_secret().contains("sslmode=");
    (!says_itself).then_some(match settings.tls {
        DatabaseTls::Verify => PgSslMode::VerifyFull,
        DatabaseTls::Prefer => PgSslMode::Prefer,
        DatabaseTls::Off => PgSslMode::Disable,
    })
}

fn sqlite(url: &str, connections: u32, settings: &config::Database) -> ConnectOptions {
    let mut options = common(url, connections, settings);
    options
        .test_before_acquire(false)
        .min_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .map_sqlx_sqlite_opts(|options| {
            options
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("journal_mode", "wal")
                .pragma("synchronous", "full")
        });
    options
}

fn common(url: &str, connections: u32, settings: &config::Database) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .acquire_timeout(settings.acquire_timeout)
        .connect_timeout(settings.acquire_timeout)
        .sqlx_logging(false);
    options
}

/// The most rows of one `INSERT`: far fewer than what SQLite takes of values in one statement.
const ROWS_AT_ONCE: usize = 1024;

/// Rows for several `INSERT`s, of 1024, 512, 256 and so on, so that any number of rows shares a few prepared
/// statements.
pub fn in_powers_of_two<R>(mut rows: Vec<R>) -> impl Iterator<Item = Vec<R>> {
    std::iter::from_fn(move || {
        let count = 1 << rows.len().min(ROWS_AT_ONCE).checked_ilog2()?;
        Some(rows.split_off(rows.len() - count))
    })
}

/// Keys for an `IN` list, the last one repeated up to the next power of two, so that lists of many
/// lengths share a few prepared statements.
pub fn padded<K: Clone>(keys: &[K]) -> Vec<K> {
    let mut padded = keys.to_vec();
    if let Some(last) = keys.last() {
        padded.resize(keys.len().next_power_of_two(), last.clone());
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_in_powers_of_two() {
        for (rows, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (7, vec![4, 2, 1]),
            (1_024, vec![1_024]),
            (2_100, vec![1_024, 1_024, 32, 16, 4]),
        ] {
            let pieces: Vec<Vec<i32>> = in_powers_of_two((0..rows).collect()).collect();
            assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            let mut all = pieces.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows));
        }
    }
}
