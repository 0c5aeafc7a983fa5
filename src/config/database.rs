//! The database settings, and the parser of `DATABASE_URL`.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use secrecy::SecretString;
use url::Url;

/// The encryption of connections to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Encrypted; the server's certificate is verified.
    Verify,
    /// Encrypted if the server supports it; the certificate is not verified.
    Prefer,
    /// Not encrypted.
    Off,
}

/// The connection pooler in front of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabasePooler {
    /// None, or a pooler with one server connection per client connection (PgBouncer's session mode).
    None,
    /// A pooler that may run each transaction on another server connection (PgBouncer's transaction mode).
    Transaction,
}

/// The kind and location of the database.
#[derive(Clone, Debug)]
pub enum DatabaseTarget {
    /// SQLite in memory, lost when the process ends.
    SqliteMemory,
    /// SQLite in a file, as a `sqlite:` URL.
    SqliteFile(SecretString),
    /// PostgreSQL: one URL per host, in the order of connection attempts. Never empty.
    Postgres(Vec<SecretString>),
}

/// The database settings.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The kind and location of the database.
    pub target: DatabaseTarget,
    /// The hosts of a read-only replica of the same PostgreSQL database, for reports. Never empty.
    pub replica: Option<Vec<SecretString>>,
    /// The maximum number of connections of this instance.
    pub max_connections: u32,
    /// The maximum time that a request waits for a connection.
    pub acquire_timeout: Duration,
    /// The maximum time of one statement on PostgreSQL.
    pub statement_timeout: Duration,
    /// The encryption of connections to PostgreSQL.
    pub tls: DatabaseTls,
    /// The connection pooler in front of PostgreSQL.
    pub pooler: DatabasePooler,
}

impl DatabaseTarget {
    /// Parses `DATABASE_URL`: a `sqlite:` URL, or a PostgreSQL URL with one or several hosts
    /// (`postgres://a:5432,b:5433/db`) or with the folder of a socket (`postgres://user@/db?host=/folder`).
    /// Errors do not repeat the URL, as it may contain a password.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match (path, url.parse::<SqliteConnectOptions>()) {
                _ if path.starts_with(":memory:") => Ok(Self::SqliteMemory),
                _ if path.contains("mode=memory") => {
                    Err("write sqlite::memory: for SQLite in memory")
                }
                (_, Ok(_)) => Ok(Self::SqliteFile(url.to_owned().into())),
                (_, Err(_)) => Err("cannot be read"),
            };
        }
        let Some((scheme @ ("postgres" | "postgresql"), rest)) = url.split_once("://") else {
            return Err("must start with sqlite: or postgres://");
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let names_socket = path.contains("host=");
        let urls = hosts.split(',').map(|host| match host {
            // A URL with a user needs a host. `host=` in the query overrides it.
            "" if hosts.is_empty() && (names_socket || user.is_empty()) => {
                Ok(format!("{scheme}://{user}localhost{path}"))
            }
            port if port.starts_with(':') && names_socket => {
                Ok(format!("{scheme}://{user}localhost{port}{path}"))
            }
            "" => Err("must name a host, or a socket's folder as ?host=/folder"),
            host => Ok(format!("{scheme}://{user}{host}{path}")),
        });
        let validate = |url: Result<String, &'static str>| {
            let url = url?;
            // The driver's error is not shown, as it repeats the password.
            let is_valid = Url::parse(&url).is_ok() && url.parse::<PgConnectOptions>().is_ok();
            if is_valid { Ok(url.into()) } else { Err("cannot be read") }
        };
        Ok(Self::Postgres(urls.map(validate).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn hosts(url: &str) -> Result<Vec<String>, &'static str> {
        match DatabaseTarget::parse(url)? {
            DatabaseTarget::Postgres(urls) => {
                let options = urls.iter().map(|url| url.expose_secret().parse());
                let options: Vec<PgConnectOptions> =
                    options.map(|options| options.expect("valid")).collect();
                let address = |options: &PgConnectOptions| match options.get_socket() {
                    Some(folder) => folder.display().to_string(),
                    None => format!("{}:{}", options.get_host(), options.get_port()),
                };
                Ok(options.iter().map(address).collect())
            }
            other => Ok(vec![format!("{other:?}")]),
        }
    }

    #[test]
    fn hosts_keep_their_order() {
        let two = ["a:5433".to_owned(), "b:5434".to_owned()];
        assert_eq!(hosts("postgres://u:p@a:5433,b:5434/db").as_deref(), Ok(&two[..]));
        assert_eq!(hosts("postgres://u:p%40,q@a:5433,b:5434/db?x=1,2").as_deref(), Ok(&two[..]));
        assert_eq!(
            hosts("postgresql://[::1]:5433,b:5434/db").expect("valid"),
            ["[::1]:5433", "b:5434"]
        );
        assert_eq!(hosts("postgres://one/db?sslmode=disable").expect("valid").len(), 1);
    }

    #[test]
    fn sqlite_in_memory_differs_from_a_file() {
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite::memory:?cache=shared"] {
            let target = DatabaseTarget::parse(url).expect("valid");
            assert!(matches!(target, DatabaseTarget::SqliteMemory), "{url}");
        }
        let file = DatabaseTarget::parse("sqlite://data/memory.db").expect("valid");
        assert!(matches!(file, DatabaseTarget::SqliteFile(_)));
        assert!(DatabaseTarget::parse("sqlite://x.db?mode=memory").is_err());
    }

    #[test]
    fn sockets_need_no_host() {
        for url in [
            "postgres://user@/db?host=/run/pg",
            "postgres:///db?host=/run/pg",
            "postgres://user@:5433/db?host=/run/pg",
        ] {
            assert_eq!(hosts(url).expect("valid"), ["/run/pg"], "{url}");
        }
        assert_eq!(
            hosts("postgres://user@/db"),
            Err("must name a host, or a socket's folder as ?host=/folder")
        );
    }

    #[test]
    fn errors_do_not_repeat_the_password() {
        for url in ["postgres://u:secret@a:port/db", "postgres://u:secret@a,b:99999/db"] {
            assert_eq!(hosts(url), Err("cannot be read"), "{url}");
        }
        for url in ["mysql://a/db", "postgres:a", ""] {
            assert_eq!(hosts(url), Err("must start with sqlite: or postgres://"), "{url}");
        }
        assert!(hosts("postgres://u:secret@a,,b/db").is_err());
    }
}
