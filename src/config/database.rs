//! The database's settings, and how `DATABASE_URL` is read.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use secrecy::SecretString;
use url::Url;

/// How the connection to PostgreSQL is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Encrypted, and the server's certificate checked against its name.
    Verify,
    /// Encrypted where the server offers it, unchecked.
    Prefer,
    /// Not encrypted.
    Off,
}

/// What stands between this program and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabasePooler {
    /// Nothing, or a pooler that keeps one server connection for each of ours (PgBouncer's session mode).
    None,
    /// A pooler that may give each transaction to another server connection (PgBouncer's transaction mode).
    Transaction,
}

/// Which database.
#[derive(Clone, Debug)]
pub enum DatabaseTarget {
    /// SQLite in memory, gone with the process.
    SqliteMemory,
    /// SQLite in a file, as a `sqlite:` URL.
    SqliteFile(SecretString),
    /// PostgreSQL: a URL for each host, in the order in which they are tried. Never empty.
    Postgres(Vec<SecretString>),
}

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which database.
    pub target: DatabaseTarget,
    /// The most connections of this instance.
    pub connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL may take to answer one statement.
    pub statement_timeout: Duration,
    /// Protection of the connection to PostgreSQL.
    pub tls: DatabaseTls,
    /// What stands between this program and PostgreSQL.
    pub pooler: DatabasePooler,
}

impl DatabaseTarget {
    /// Reads `DATABASE_URL`: `sqlite:`, or PostgreSQL's URL with one host or several
    /// (`postgres://a:5432,b:5433/db`), or with a socket's folder (`postgres://user@/db?host=/folder`).
    ///
    /// # Errors
    /// What is wrong with it, without repeating it: it may hold a password.
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
            // A URL without a host has no place for a user. `host=` in the query wins over it.
            "" if hosts.is_empty() && (names_socket || user.is_empty()) => {
                Ok(format!("{scheme}://{user}localhost{path}"))
            }
            port if port.starts_with(':') && names_socket => {
                Ok(format!("{scheme}://{user}localhost{port}{path}"))
            }
            "" => Err("must name a host, or a socket's folder as ?host=/folder"),
            host => Ok(format!("{scheme}://{user}{host}{path}")),
        });
        let read = |url: Result<String, &'static str>| {
            let url = url?;
            // What the driver says of a URL that it cannot read repeats the password.
            let is_good = Url::parse(&url).is_ok() && url.parse::<PgConnectOptions>().is_ok();
            if is_good { Ok(url.into()) } else { Err("cannot be read") }
        };
        Ok(Self::Postgres(urls.map(read).collect::<Result<_, _>>()?))
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
                    options.map(|read| read.expect("good")).collect();
                let place = |options: &PgConnectOptions| match options.get_socket() {
                    Some(folder) => folder.display().to_string(),
                    None => format!("{}:{}", options.get_host(), options.get_port()),
                };
                Ok(options.iter().map(place).collect())
            }
            other => Ok(vec![format!("{other:?}")]),
        }
    }

    #[test]
    fn hosts_are_split_in_their_order() {
        let two = ["a:5433".to_owned(), "b:5434".to_owned()];
        assert_eq!(hosts("postgres://u:p@a:5433,b:5434/db").as_deref(), Ok(&two[..]));
        assert_eq!(hosts("postgres://u:p%40,q@a:5433,b:5434/db?x=1,2").as_deref(), Ok(&two[..]));
        assert_eq!(
            hosts("postgresql://[::1]:5433,b:5434/db").expect("good"),
            ["[::1]:5433", "b:5434"]
        );
        assert_eq!(hosts("postgres://one/db?sslmode=disable").expect("good").len(), 1);
    }

    #[test]
    fn memory_is_told_from_a_file() {
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite::memory:?cache=shared"] {
            let target = DatabaseTarget::parse(url).expect("good");
            assert!(matches!(target, DatabaseTarget::SqliteMemory), "{url}");
        }
        let file = DatabaseTarget::parse("sqlite://data/memory.db").expect("good");
        assert!(matches!(file, DatabaseTarget::SqliteFile(_)));
        assert!(DatabaseTarget::parse("sqlite://x.db?mode=memory").is_err());
    }

    #[test]
    fn a_socket_needs_no_host() {
        for url in [
            "postgres://user@/db?host=/run/pg",
            "postgres:///db?host=/run/pg",
            "postgres://user@:5433/db?host=/run/pg",
        ] {
            assert_eq!(hosts(url).expect("good"), ["/run/pg"], "{url}");
        }
        assert_eq!(
            hosts("postgres://user@/db"),
            Err("must name a host, or a socket's folder as ?host=/folder")
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in ["postgres://u:secret@a:port/db", "postgres://u:secret@a,b:99999/db"] {
            assert_eq!(hosts(url), Err("cannot be read"), "{url}");
        }
        for url in ["mysql://a/db", "postgres:a", ""] {
            assert_eq!(hosts(url), Err("must start with sqlite: or postgres://"), "{url}");
        }
        assert!(hosts("postgres://u:secret@a,,b/db").is_err());
    }
}
