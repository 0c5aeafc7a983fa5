//! Reads the database settings.

use std::path::Path;

use secrecy::SecretString;

use super::values::SettingsReader;
use crate::config::database::{DatabaseConfig, DatabasePooler, DatabaseTarget, DatabaseTls};

const TLS: [(&str, DatabaseTls); 3] =
    [("verify", DatabaseTls::Verify), ("prefer", DatabaseTls::Prefer), ("off", DatabaseTls::Off)];
const POOLERS: [(&str, DatabasePooler); 2] =
    [("none", DatabasePooler::None), ("transaction", DatabasePooler::Transaction)];

impl SettingsReader {
    pub(super) fn database(&mut self, is_production: bool, data_dir: &Path) -> DatabaseConfig {
        let url = self.text("DATABASE_URL").unwrap_or_else(|| {
            let file = data_dir.join("switchboard.db");
            self.defaults_used
                .push(format!("DATABASE_URL is not set: SQLite in {}", file.display()));
            // Characters with a meaning in URLs may occur in the folder's name.
            let path = file
                .display()
                .to_string()
                .replace('%', "%25")
                .replace('?', "%3F")
                .replace('#', "%23");
            format!("sqlite://{path}")
        });
        let target = DatabaseTarget::parse(&url).unwrap_or_else(|problem| {
            self.problems.push(format!("DATABASE_URL: {problem}"));
            DatabaseTarget::SqliteMemory
        });
        let replica = self.replica(&target);
        let tls = if is_production { DatabaseTls::Verify } else { DatabaseTls::Prefer };
        DatabaseConfig {
            target,
            replica,
            max_connections: self.parse_or("DATABASE_CONNECTIONS", 10).clamp(3, 1000),
            acquire_timeout: self.seconds("DATABASE_ACQUIRE_SECONDS", 3, 1..=60),
            statement_timeout: self.seconds("DATABASE_STATEMENT_SECONDS", 5, 1..=600),
            tls: self.choice("DATABASE_TLS", &TLS, tls),
            pooler: self.choice("DATABASE_POOLER", &POOLERS, DatabasePooler::None),
        }
    }

    /// The hosts of the replica, if there is one.
    fn replica(&mut self, target: &DatabaseTarget) -> Option<Vec<SecretString>> {
        let url = self.text("DATABASE_REPLICA_URL")?;
        let problem = match (DatabaseTarget::parse(&url), target) {
            (Ok(DatabaseTarget::Postgres(hosts)), DatabaseTarget::Postgres(_)) => {
                return Some(hosts);
            }
            (Ok(DatabaseTarget::Postgres(_)), _) => "only PostgreSQL in DATABASE_URL has a replica",
            (Ok(_), _) => "must start with postgres://",
            (Err(problem), _) => problem,
        };
        self.problems.push(format!("DATABASE_REPLICA_URL: {problem}"));
        None
    }
}
