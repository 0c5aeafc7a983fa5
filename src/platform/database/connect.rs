//! Making connections: to the first PostgreSQL host that takes writes, to a SQLite file, or to SQLite in memory.

use std::fmt::Display;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::sqlx::{
    self, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqliteConnection,
};
use sea_orm::{DbErr, RuntimeErr, SqlxSqliteConnector};
use secrecy::{ExposeSecret, SecretString};

use super::connection::Connection;
use super::timeout::timeout;
use crate::config::database::{Database as Settings, DatabasePooler, DatabaseTarget, DatabaseTls};
use crate::platform::private_files::make_file;

/// How the server lists this program's connections.
const APPLICATION_NAME: &str = "switchboard";
/// How long one of several hosts may take to connect.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long SQLite waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// By how much the server gives up on a statement before this program closes the connection.
const SERVER_GIVES_UP_SOONER: Duration = Duration::from_millis(500);

/// Why there is no connection. Its text names the place: "127.0.0.1:5999: connection refused".
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConnectError {
    place: String,
    reason: String,
}

impl ConnectError {
    fn new(place: impl Into<String>, reason: impl Display) -> Self {
        Self { place: place.into(), reason: reason.to_string() }
    }

    pub(super) fn sqlx(place: impl Into<String>, error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => match error.kind() {
                // Without the system's number behind it.
                kind @ (ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::TimedOut) => Self::new(place, kind),
                _ => Self::new(place, error),
            },
            sqlx::Error::Database(error) => Self::new(place, error.message()),
            other => Self::new(place, other),
        }
    }
}

/// What connections are made to.
#[derive(Debug)]
pub enum Target {
    /// SQLite in memory.
    SqliteMemory {
        /// Its one connection was made. When that is lost, the database is.
        was_made: AtomicBool,
    },
    /// SQLite in a file.
    SqliteFile {
        /// How each connection is.
        options: Box<SqliteConnectOptions>,
        /// The first connection was made, and has turned the file to WAL.
        was_opened: AtomicBool,
    },
    /// PostgreSQL servers, the first that takes writes.
    Postgres {
        /// In the order in which they are tried.
        hosts: Vec<PgConnectOptions>,
        /// The one that took writes when the last connection was made.
        last_host: AtomicUsize,
        /// What stands before them.
        pooler: DatabasePooler,
        /// How long the server may work on one statement.
        statement_timeout: Duration,
    },
}

impl Target {
    /// What the settings name. Connects to nothing.
    pub fn new(settings: &Settings) -> Self {
        match &settings.target {
            DatabaseTarget::SqliteMemory => Self::SqliteMemory { was_made: AtomicBool::new(false) },
            DatabaseTarget::SqliteFile(url) => Self::SqliteFile {
                options: Box::new(sqlite(url)),
                was_opened: AtomicBool::new(false),
            },
            DatabaseTarget::Postgres(urls) => Self::Postgres {
                hosts: urls.iter().map(|url| postgres(url, settings)).collect(),
                last_host: AtomicUsize::new(0),
                pooler: settings.pooler,
                statement_timeout: server_limit(settings.statement_timeout),
            },
        }
    }

    /// How long making a connection may take, when one host may take so long.
    pub fn connect_timeout(&self, one_host: Duration) -> Duration {
        match self {
            Self::Postgres { hosts, .. } => {
                let hosts = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
                one_host.max(HOST_TIMEOUT.saturating_mul(hosts))
            }
            _ => one_host,
        }
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// The last host's, when there are several.
    pub async fn connect(&self, is_read_only: bool) -> Result<Connection, ConnectError> {
        match self {
            Self::SqliteMemory { was_made } => {
                let place = "sqlite::memory:";
                if was_made.load(Ordering::Relaxed) {
                    return Err(ConnectError::new(
                        place,
                        "its connection failed, restart to go on",
                    ));
                }
                let made = in_memory().await.map_err(|error| ConnectError::new(place, error))?;
                was_made.store(true, Ordering::Relaxed);
                Ok(Connection::Sqlite(made))
            }
            Self::SqliteFile { options, was_opened } => {
                let path = options.get_filename();
                let place = path.display().to_string();
                // SQLite gives the files beside it the same permissions.
                make_file(path).map_err(|error| ConnectError::new(&place, error))?;
                // SQLite does not wait for another process that turns the same file to WAL.
                let _opening = match was_opened.load(Ordering::Relaxed) {
                    true => None,
                    false => {
                        let locked = lock_file(path, ".opening").await;
                        Some(locked.map_err(|error| ConnectError::new(&place, error))?)
                    }
                };
                let options = SqliteConnectOptions::clone(options);
                let options = match is_read_only {
                    true => options.pragma("query_only", "on"),
                    false => options,
                };
                let made = options.connect().await;
                let made = made.map_err(|error| ConnectError::sqlx(place, &error))?;
                was_opened.store(true, Ordering::Relaxed);
                Ok(Connection::Sqlite(made))
            }
            Self::Postgres { hosts, last_host, pooler, statement_timeout } => {
                let (mut inner, host) = first_that_takes_writes(hosts, last_host).await?;
                let keeps_statements = *pooler == DatabasePooler::None;
                if keeps_statements {
                    // Not a startup option, which PgBouncer refuses in every mode.
                    let millis = statement_timeout.as_millis();
                    let set = format!("SET statement_timeout = {millis}");
                    let is_set = sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut inner).await;
                    is_set.map_err(|error| ConnectError::sqlx(place_of(host), &error))?;
                }
                Ok(Connection::Postgres { inner, keeps_statements })
            }
        }
    }

    /// The host of PostgreSQL that takes writes. None: this is SQLite.
    ///
    /// # Errors
    /// When no host does.
    pub async fn writable_host(&self) -> Result<Option<&PgConnectOptions>, ConnectError> {
        match self {
            Self::Postgres { hosts, last_host, .. } => {
                Ok(Some(first_that_takes_writes(hosts, last_host).await?.1))
            }
            _ => Ok(None),
        }
    }

    /// That it did not answer in time.
    pub fn no_answer_within(&self, limit: Duration) -> ConnectError {
        ConnectError::new(self.place(), format!("no answer within {limit:?}"))
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::SqliteMemory { .. } => "sqlite::memory:".into(),
            Self::SqliteFile { options, .. } => options.get_filename().display().to_string(),
            Self::Postgres { hosts, .. } => {
                hosts.iter().map(place_of).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Connects to the first host that takes writes: the one that did the last time, else the others in their order. A
/// host alone is taken as it is.
async fn first_that_takes_writes<'a>(
    hosts: &'a [PgConnectOptions],
    last: &AtomicUsize,
) -> Result<(PgConnection, &'a PgConnectOptions), ConnectError> {
    if let [only] = hosts {
        let connected = PgConnection::connect_with(only).await;
        let connection = connected.map_err(|error| ConnectError::sqlx(place_of(only), &error))?;
        return Ok((connection, only));
    }
    let first = last.load(Ordering::Relaxed);
    let others = (0..hosts.len()).filter(|index| *index != first);
    let mut failures = Vec::new();
    for index in std::iter::once(first).chain(others) {
        let host = &hosts[index];
        match timeout(HOST_TIMEOUT, writable(host)).await {
            Some(Ok(connection)) => {
                last.store(index, Ordering::Relaxed);
                return Ok((connection, host));
            }
            Some(Err(failure)) => failures.push(failure.to_string()),
            None => failures.push(ConnectError::new(place_of(host), "no answer").to_string()),
        }
    }
    Err(ConnectError::new("no host takes writes", failures.join(", ")))
}

async fn writable(host: &PgConnectOptions) -> Result<PgConnection, ConnectError> {
    let failed = |error: sqlx::Error| ConnectError::sqlx(place_of(host), &error);
    let mut connection = PgConnection::connect_with(host).await.map_err(failed)?;
    // Unprepared: behind a pooler, preparing and running may reach two servers.
    let setting = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(&mut connection).await;
    match setting.and_then(|row| row.try_get::<String, _>(0)).map_err(failed)?.as_str() {
        "off" => Ok(connection),
        _ => Err(ConnectError::new(place_of(host), "is read-only")),
    }
}

fn place_of(host: &PgConnectOptions) -> String {
    match host.get_socket() {
        Some(folder) => folder.join(format!(".s.PGSQL.{}", host.get_port())).display().to_string(),
        None => format!("{}:{}", host.get_host(), host.get_port()),
    }
}

/// SQLite in memory has one connection, and its tables from the start: nobody else could make them.
async fn in_memory() -> Result<SqliteConnection, DbErr> {
    let failed = |error: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(error.into()));
    let options = sqlite(&"sqlite::memory:".to_owned().into());
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_with(options).await.map_err(failed)?;
    Box::pin(Migrator::up(&SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone()), None)).await?;
    Ok(pool.acquire().await.map_err(failed)?.detach())
}

/// How every connection to SQLite is.
fn sqlite(url: &SecretString) -> SqliteConnectOptions {
    let options: SqliteConnectOptions = parsed(url);
    options
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_mode", "wal")
        .pragma("synchronous", "full")
        .disable_statement_logging()
}

/// How connections to a PostgreSQL host are.
fn postgres(url: &SecretString, settings: &Settings) -> PgConnectOptions {
    let mut options: PgConnectOptions = parsed(url);
    // What the URL itself says is the more particular.
    if !url.expose_secret().contains("sslmode=") {
        options = options.ssl_mode(match settings.tls {
            DatabaseTls::Verify => PgSslMode::VerifyFull,
            DatabaseTls::Prefer => PgSslMode::Prefer,
            DatabaseTls::Off => PgSslMode::Disable,
        });
    }
    // PgBouncer refuses startup parameters that it does not track.
    options = options.extra_float_digits(None);
    options.application_name(APPLICATION_NAME).disable_statement_logging()
}

fn parsed<T: FromStr>(url: &SecretString) -> T {
    url.expose_secret().parse().ok().expect("the configuration has read it")
}

/// How long the server may work on a statement for which this program waits so long.
pub fn server_limit(limit: Duration) -> Duration {
    limit.saturating_sub(SERVER_GIVES_UP_SOONER)
}

/// Waits for a lock among the processes of this machine, held until the file is closed.
///
/// # Errors
/// Those of the file system.
pub async fn lock_file(path: &Path, suffix: &str) -> std::io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    let name = PathBuf::from(name);
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(name)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.map_err(std::io::Error::other)?
}
