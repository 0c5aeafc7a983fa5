//! The database of a server, as seen from outside: for what no operation does, and to count what is there.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use switchboard::app::{build_platform, prepare_database};
use switchboard::config::Config;
use switchboard::error::Error;
use switchboard::platform::Platform;
use tokio_postgres::Client;

use super::numbers::e164_sql;

/// How long a statement over a million rows may take.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_mins(5);
/// The tables that an import writes, those that refer to others first.
const TABLES: [&str; 12] = [
    "leads",
    "bonus_rejected_lines",
    "bonuses",
    "bonus_imports",
    "campaigns",
    "coin_entries",
    "wallets",
    "message_transitions",
    "messages",
    "audit_entries",
    "statistic_deltas",
    "statistics",
];

/// A database.
pub enum Database {
    /// PostgreSQL.
    Postgres(Client),
    /// SQLite in a file.
    Sqlite(Box<Platform>),
}

impl Database {
    /// Opens a SQLite file. Creates it with its tables, if there is none.
    pub async fn open_sqlite(file: &Path, folder: &Path) -> Result<Self> {
        let settings = [
            ("DATABASE_URL", format!("sqlite://{}", file.display())),
            ("DATA_DIR", folder.display().to_string()),
            ("DATABASE_STATEMENT_SECONDS", STATEMENT_TIMEOUT.as_secs().to_string()),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value));
        let mut config =
            Config::from_values(settings.into()).map_err(|problems| anyhow!("{problems:?}"))?;
        let platform = build_platform(&mut config).map_err(|problems| anyhow!("{problems:?}"))?;
        prepare_database(&platform).await.map_err(to_anyhow)?;
        Ok(Self::Sqlite(Box::new(platform)))
    }

    /// Executes statements that end with a semicolon and a line break.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        match self {
            Self::Postgres(client) => client.batch_execute(sql).await?,
            Self::Sqlite(platform) => {
                for statement in sql.split(";\n") {
                    platform.database.writes().execute_unprepared(statement).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads one number.
    pub async fn count(&self, sql: &str) -> Result<i64> {
        match self {
            Self::Postgres(client) => Ok(client.query_one(sql, &[]).await?.try_get(0)?),
            Self::Sqlite(platform) => {
                let statement = Statement::from_string(DbBackend::Sqlite, sql);
                let row = platform.database.writes().query_one_raw(statement).await?;
                Ok(row.context("a row")?.try_get_by_index(0)?)
            }
        }
    }

    /// Inserts the users who have verified one of the first numbers: those whose index modulo 100 is below the percentage.
    pub async fn insert_owners(&self, numbers: u32, verified_percent: u32) -> Result<()> {
        let (indexes, id, now, number) = match self {
            Self::Postgres(_) => (
                "SELECT i FROM generate_series(0, {last}) AS i",
                "('01900000-0000-7000-a000-' || lpad(to_hex(i), 12, '0'))::uuid",
                "now()",
                "nextval(pg_get_serial_sequence('users', 'number'))",
            ),
            Self::Sqlite(_) => (
                "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {last})
                 SELECT i FROM numbers",
                "unhex('0190000000007000a000' || printf('%012x', i))",
                "'2026-01-02T03:04:05+00:00'",
                "i + 1 + (SELECT COALESCE(MAX(number), 0) FROM users)",
            ),
        };
        let indexes = indexes.replace("{last}", &numbers.saturating_sub(1).to_string());
        let phone = e164_sql(matches!(self, Self::Postgres(_)));
        self.execute(&format!(
            "INSERT INTO users (id, number, nickname, nickname_key, name, phone, phone_key, phone_verified_at,
                                discoverable, two_factor_enabled, role, created_at, updated_at)
             SELECT {id}, {number}, 'owner' || i, 'owner' || i, 'Owner ' || i, {phone}, {phone}, {now},
                    TRUE, FALSE, 'PLAYER', {now}, {now}
             FROM ({indexes}) AS indexes WHERE i % 100 < {verified_percent}"
        ))
        .await?;
        self.tidy().await
    }

    /// Empties the tables that an import writes, so that each turn writes the same rows into the same database.
    pub async fn clear(&self) -> Result<()> {
        match self {
            Self::Postgres(_) => self.execute(&format!("TRUNCATE {}", TABLES.join(", "))).await?,
            Self::Sqlite(_) => {
                for table in TABLES {
                    self.execute(&format!("DELETE FROM {table}")).await?;
                }
            }
        }
        self.tidy().await
    }

    /// Does now what the database would do during the next measurement.
    async fn tidy(&self) -> Result<()> {
        match self {
            Self::Postgres(_) => {
                self.execute("VACUUM ANALYZE").await?;
                self.execute("CHECKPOINT").await
            }
            Self::Sqlite(_) => self.execute("PRAGMA wal_checkpoint(TRUNCATE)").await,
        }
    }
}

/// An error of the product has no `Display`, so that clients never get its cause.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn to_anyhow(error: Error) -> anyhow::Error {
    anyhow!(error.describe())
}
