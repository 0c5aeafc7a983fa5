//! Connecting to the database: the first PostgreSQL host that accepts writes, a SQLite file, or SQLite in memory.

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
use crate::config::database::{DatabaseConfig, DatabasePooler, DatabaseTarget, DatabaseTls};
use crate::platform::private_files::ensure_private_file;

/// The application name in PostgreSQL's list of connections.
const APPLICATION_NAME: &str = "switchboard";
/// Timeout for connecting to one of several hosts.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long SQLite waits while another process writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The server rolls back a transaction whose process sends nothing for this long, because it was paused or its host is
/// gone. Others wait for its locks meanwhile.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// The server cancels a statement this much earlier than this program closes the connection.
const SERVER_TIMEOUT_MARGIN: Duration = Duration::from_millis(500);

/// Why connecting failed, with the address: "127.0.0.1:5999: connection refused".
#[derive(Debug, thiserror::Error)]
#[error("{address}: {reason}")]
pub struct ConnectError {
    address: String,
    reason: String,
}

impl ConnectError {
    fn new(address: impl Into<String>, reason: impl Display) -> Self {
        Self { address: address.into(), reason: reason.to_string() }
    }

    pub(super) fn from_sqlx(address: impl Into<String>, error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => match error.kind() {
                // The kind alone, without the system's error number.
                kind @ (ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::TimedOut) => Self::new(address, kind),
                _ => Self::new(address, error),
            },
            sqlx::Error::Database(error) => Self::new(address, error.message()),
            other => Self::new(address, other),
        }
    }
}

/// The database to connect to.
#[derive(Debug)]
pub enum Target {
    /// SQLite in memory.
    SqliteMemory {
        /// Whether its only connection was opened. If that is lost, so is the data.
        was_opened: AtomicBool,
    },
    /// SQLite in a file.
    SqliteFile {
        /// Options of each connection.
        options: Box<SqliteConnectOptions>,
        /// Whether a connection was opened before, which switched the file to WAL mode.
        was_opened: AtomicBool,
    },
    /// PostgreSQL: the first host that accepts writes, or any host of a replica.
    Postgres {
        /// The hosts, in the order in which they are tried.
        hosts: Vec<PgConnectOptions>,
        /// Whether they are hosts of a replica, which accept no writes.
        is_replica: bool,
        /// Index of the host of the last connection.
        last_host: AtomicUsize,
        /// The pooler in front of the hosts, if any.
        pooler: DatabasePooler,
        /// The server's timeout for a statement.
        statement_timeout: Duration,
    },
}

impl Target {
    /// The target of the configuration. Does not connect.
    pub fn new(config: &DatabaseConfig) -> Self {
        match &config.target {
            DatabaseTarget::SqliteMemory => {
                Self::SqliteMemory { was_opened: AtomicBool::new(false) }
            }
            DatabaseTarget::SqliteFile(url) => Self::SqliteFile {
                options: Box::new(sqlite_options(url)),
                was_opened: AtomicBool::new(false),
            },
            DatabaseTarget::Postgres(urls) => Self::postgres(urls, config, false),
        }
    }

    /// The replica of the configuration, if there is one, and its setting. Else the database. Does not connect.
    pub fn for_reports(config: &DatabaseConfig) -> (&'static str, Self) {
        match &config.replica {
            Some(urls) => ("DATABASE_REPLICA_URL", Self::postgres(urls, config, true)),
            None => ("DATABASE_URL", Self::new(config)),
        }
    }

    fn postgres(urls: &[SecretString], config: &DatabaseConfig, is_replica: bool) -> Self {
        Self::Postgres {
            hosts: urls.iter().map(|url| postgres_options(url, config)).collect(),
            is_replica,
            last_host: AtomicUsize::new(0),
            pooler: config.pooler,
            statement_timeout: server_timeout(config.statement_timeout),
        }
    }

    /// Timeout for connecting to any host, given the timeout for a single one.
    pub fn connect_timeout(&self, one_host: Duration) -> Duration {
        match self {
            Self::Postgres { hosts, .. } => {
                let hosts = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
                one_host.max(HOST_TIMEOUT.saturating_mul(hosts))
            }
            _ => one_host,
        }
    }

    /// Opens a connection.
    pub async fn connect(&self, is_read_only: bool) -> Result<Connection, ConnectError> {
        match self {
            Self::SqliteMemory { was_opened } => {
                let address = "sqlite::memory:";
                if was_opened.load(Ordering::Relaxed) {
                    return Err(ConnectError::new(
                        address,
                        "its connection failed, restart to go on",
                    ));
                }
                let connection = connect_in_memory().await;
                let connection = connection.map_err(|error| ConnectError::new(address, error))?;
                was_opened.store(true, Ordering::Relaxed);
                Ok(Connection::Sqlite { inner: connection, interrupted: None })
            }
            Self::SqliteFile { options, was_opened } => {
                let path = options.get_filename();
                let address = path.display().to_string();
                // SQLite creates its other files with the same permissions.
                ensure_private_file(path).map_err(|error| ConnectError::new(&address, error))?;
                // SQLite does not wait while another process switches the same file to WAL mode.
                let _lock = match was_opened.load(Ordering::Relaxed) {
                    true => None,
                    false => {
                        let locked = lock_file(path, ".opening").await;
                        Some(locked.map_err(|error| ConnectError::new(&address, error))?)
                    }
                };
                let options = SqliteConnectOptions::clone(options);
                let options = match is_read_only {
                    true => options.pragma("query_only", "on"),
                    false => options,
                };
                let connection = options.connect().await;
                let to_error = |error| ConnectError::from_sqlx(&address, &error);
                let connection = connection.map_err(to_error)?;
                was_opened.store(true, Ordering::Relaxed);
                match is_read_only {
                    true => Connection::interruptible_sqlite(connection).await.map_err(to_error),
                    false => Ok(Connection::Sqlite { inner: connection, interrupted: None }),
                }
            }
            Self::Postgres { hosts, is_replica, last_host, pooler, statement_timeout } => {
                let (mut inner, host) = connect_first(hosts, *is_replica, last_host).await?;
                let caches_statements = *pooler == DatabasePooler::None;
                if caches_statements {
                    // As statements, because PgBouncer refuses them as startup parameters.
                    let mut set = timeouts_sql("SET", *statement_timeout);
                    if is_read_only {
                        set.push_str("; SET default_transaction_read_only = on");
                    }
                    let result = sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut inner).await;
                    result.map_err(|error| ConnectError::from_sqlx(address_of(host), &error))?;
                }
                Ok(Connection::Postgres { inner, caches_statements })
            }
        }
    }

    /// Finds the PostgreSQL host that accepts writes. None for SQLite.
    pub async fn find_writable_host(&self) -> Result<Option<&PgConnectOptions>, ConnectError> {
        match self {
            Self::Postgres { hosts, last_host, .. } => {
                Ok(Some(connect_first(hosts, false, last_host).await?.1))
            }
            _ => Ok(None),
        }
    }

    /// The error of a target that did not respond in time.
    pub fn timeout_error(&self, timeout: Duration) -> ConnectError {
        ConnectError::new(self.address(), format!("no answer within {timeout:?}"))
    }

    /// The address, for messages to operators.
    pub fn address(&self) -> String {
        match self {
            Self::SqliteMemory { .. } => "sqlite::memory:".into(),
            Self::SqliteFile { options, .. } => options.get_filename().display().to_string(),
            Self::Postgres { hosts, .. } => {
                hosts.iter().map(address_of).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Connects to the first host that accepts writes, or to the first of a replica, starting with the last one used. A
/// single host is not checked.
async fn connect_first<'a>(
    hosts: &'a [PgConnectOptions],
    is_replica: bool,
    last_host: &AtomicUsize,
) -> Result<(PgConnection, &'a PgConnectOptions), ConnectError> {
    if let [only] = hosts {
        return Ok((connect_to(only).await?, only));
    }
    let first = last_host.load(Ordering::Relaxed);
    let others = (0..hosts.len()).filter(|index| *index != first);
    let mut failures = Vec::new();
    for index in std::iter::once(first).chain(others) {
        let host = &hosts[index];
        let connecting = async {
            match is_replica {
                true => connect_to(host).await,
                false => connect_writable(host).await,
            }
        };
        match timeout(HOST_TIMEOUT, connecting).await {
            Some(Ok(connection)) => {
                last_host.store(index, Ordering::Relaxed);
                return Ok((connection, host));
            }
            Some(Err(failure)) => failures.push(failure.to_string()),
            None => failures.push(ConnectError::new(address_of(host), "no answer").to_string()),
        }
    }
    let problem = if is_replica { "no host answers" } else { "no host takes writes" };
    Err(ConnectError::new(problem, failures.join(", ")))
}

async fn connect_to(host: &PgConnectOptions) -> Result<PgConnection, ConnectError> {
    let connection = PgConnection::connect_with(host).await;
    connection.map_err(|error| ConnectError::from_sqlx(address_of(host), &error))
}

async fn connect_writable(host: &PgConnectOptions) -> Result<PgConnection, ConnectError> {
    let to_error = |error: sqlx::Error| ConnectError::from_sqlx(address_of(host), &error);
    let mut connection = connect_to(host).await?;
    // Unprepared, because a pooler could send preparing and running to different servers.
    let setting = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(&mut connection).await;
    match setting.and_then(|row| row.try_get::<String, _>(0)).map_err(to_error)?.as_str() {
        "off" => Ok(connection),
        _ => Err(ConnectError::new(address_of(host), "is read-only")),
    }
}

fn address_of(host: &PgConnectOptions) -> String {
    match host.get_socket() {
        Some(folder) => folder.join(format!(".s.PGSQL.{}", host.get_port())).display().to_string(),
        None => format!("{}:{}", host.get_host(), host.get_port()),
    }
}

/// Creates SQLite in memory, with its tables: no other connection could create them.
async fn connect_in_memory() -> Result<SqliteConnection, DbErr> {
    let to_error = |error: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(error.into()));
    let options = sqlite_options(&"sqlite::memory:".to_owned().into());
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_with(options).await.map_err(to_error)?;
    Box::pin(Migrator::up(&SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone()), None)).await?;
    Ok(pool.acquire().await.map_err(to_error)?.detach())
}

/// Options of connections to SQLite.
fn sqlite_options(url: &SecretString) -> SqliteConnectOptions {
    let options: SqliteConnectOptions = parse_url(url);
    options
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_mode", "wal")
        .pragma("synchronous", "full")
        .disable_statement_logging()
}

/// Options of connections to a PostgreSQL host.
fn postgres_options(url: &SecretString, config: &DatabaseConfig) -> PgConnectOptions {
    let mut options: PgConnectOptions = parse_url(url);
    // The URL takes precedence.
    if !url.expose_secret().contains("sslmode=") {
        options = options.ssl_mode(match config.tls {
            DatabaseTls::Verify => PgSslMode::VerifyFull,
            DatabaseTls::Prefer => PgSslMode::Prefer,
            DatabaseTls::Off => PgSslMode::Disable,
        });
    }
    // PgBouncer refuses startup parameters that it does not know.
    options = options.extra_float_digits(None);
    options.application_name(APPLICATION_NAME).disable_statement_logging()
}

fn parse_url<T: FromStr>(url: &SecretString) -> T {
    url.expose_secret().parse().ok().expect("validated by the configuration")
}

/// The SQL that sets the server's timeouts, by `SET` or `SET LOCAL`.
pub fn timeouts_sql(set: &str, statement_timeout: Duration) -> String {
    let (statement, idle) =
        (statement_timeout.as_millis(), IDLE_IN_TRANSACTION_TIMEOUT.as_millis());
    format!(
        "{set} statement_timeout = {statement}; {set} idle_in_transaction_session_timeout = {idle}"
    )
}

/// The server's timeout for a statement, a little shorter than the time that this program waits.
pub fn server_timeout(timeout: Duration) -> Duration {
    timeout.saturating_sub(SERVER_TIMEOUT_MARGIN)
}

/// Waits for an exclusive lock among the processes of this machine. It is held until the file is closed.
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
