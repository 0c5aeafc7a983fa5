//! Counts what existed before statistics did. In a transaction of its own, which locks no table that is in use: instances
//! of the version before go on beside it, and `dashboard rebuild` counts what they write meanwhile.

use std::fmt::Write as _;

use data_encoding::{BASE32_DNSSEC, HEXLOWER_PERMISSIVE};
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0017_count_history"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (backend, db) = (manager.get_database_backend(), manager.get_connection());
        let uncounted = find_uncounted_wins(backend, db).await?;
        let mut credits = "coin_entries WHERE amount > 0".to_owned();
        if !uncounted.is_empty() {
            let _ = write!(credits, " AND reference NOT IN ('{}')", uncounted.join("', '"));
        }
        let coins = ("coins_credited", "reason", "created_at", "SUM(amount)", credits.as_str());
        let mut statements = vec![count_hours(backend, coins)];
        statements.extend(SOURCES.map(|source| count_hours(backend, source)));
        statements.extend(activity(backend));
        // Late, as the rows that it changes stay locked until the end.
        statements.push(set_status_times(backend));
        statements.push(count_hours(backend, MESSAGES));
        statements.extend(CAMPAIGN_SOURCES.map(|source| count_campaigns(backend, source)));
        statements
            .extend([("DAY", "day"), ("MONTH", "month")].map(|unit| sum_hours(backend, unit)));
        for statement in statements {
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}

/// Measure, dimension, time, amount and rows.
type Source<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

const SOURCES: [Source<'_>; 7] = [
    ("new_users", "''", "created_at", "COUNT(*)", "users"),
    ("deleted_users", "''", "deleted_at", "COUNT(*)", "users WHERE deleted_at IS NOT NULL"),
    ("rounds", "game", "played_at", "COUNT(*)", PLAYED_ROUNDS),
    ("points", "game", "played_at", "SUM(points)", PLAYED_ROUNDS),
    ("wins", "game", "played_at", "SUM(CASE WHEN won THEN 1 ELSE 0 END)", PLAYED_ROUNDS),
    ("coins_debited", "reason", "created_at", "-SUM(amount)", "coin_entries WHERE amount < 0"),
    ("connection_calls", "''", "called_at", "COUNT(*)", "connection_calls"),
];

/// Rounds that are not counted yet are counted soon, by the job that counts all rounds.
const PLAYED_ROUNDS: &str = "rounds WHERE status = 'PLAYED' AND is_counted";

const MESSAGES: Source<'_> = (
    "messages",
    "status",
    "state_at",
    "COUNT(*)",
    "messages WHERE status NOT IN ('QUEUED', 'SENDING')",
);

/// Measure and statuses.
const CAMPAIGN_SOURCES: [(&str, &str); 2] = [
    ("campaign_messages_delivered", "'DELIVERED'"),
    ("campaign_messages_failed", "'FAILED', 'EXPIRED', 'UNDELIVERED'"),
];

const INSERT: &str = "INSERT INTO statistics (bucket, start, measure, dimension, amount)";

/// The references of rewards that are paid, and counted only with their rounds. A reference is the id of the round.
async fn find_uncounted_wins(
    backend: DbBackend,
    db: &impl ConnectionTrait,
) -> Result<Vec<String>, DbErr> {
    let id = match backend {
        DbBackend::Postgres => "replace(CAST(id AS text), '-', '')",
        _ => "lower(hex(id))",
    };
    let sql = format!("SELECT {id} FROM rounds WHERE NOT is_counted AND won");
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await?;
    let reference = |row: &sea_orm_migration::sea_orm::QueryResult| {
        let id: String = row.try_get_by_index(0)?;
        let id = HEXLOWER_PERMISSIVE.decode(id.as_bytes());
        let id = id.map_err(|error| DbErr::Custom(error.to_string()))?;
        Ok(format!("rnd_{}", BASE32_DNSSEC.encode(&id)))
    };
    rows.iter().map(reference).collect()
}

/// The start of an hour, a day or a month, in SQL.
fn truncate(backend: DbBackend, unit: &str, time: &str) -> String {
    match (backend, unit) {
        (DbBackend::Postgres, _) => format!("date_trunc('{unit}', {time}, 'UTC')"),
        (_, "hour") => format!("substr({time}, 1, 13) || ':00:00+00:00'"),
        (_, "day") => format!("substr({time}, 1, 10) || 'T00:00:00+00:00'"),
        _ => format!("substr({time}, 1, 7) || '-01T00:00:00+00:00'"),
    }
}

fn count_hours(backend: DbBackend, source: Source<'_>) -> String {
    let (measure, dimension, time, amount, rows) = source;
    let hour = truncate(backend, "hour", time);
    format!(
        "{INSERT} SELECT 'HOUR', {hour}, '{measure}', {dimension}, CAST({amount} AS bigint)
         FROM {rows} GROUP BY {hour}, 4 HAVING {amount} <> 0"
    )
}

fn count_campaigns(backend: DbBackend, (measure, statuses): (&str, &str)) -> String {
    let epoch = match backend {
        DbBackend::Postgres => "timestamptz '1970-01-01T00:00:00Z'",
        _ => "'1970-01-01T00:00:00+00:00'",
    };
    format!(
        "{INSERT} SELECT 'ALL', {epoch}, '{measure}', campaign, COUNT(*)
         FROM messages WHERE campaign IS NOT NULL AND status IN ({statuses}) GROUP BY campaign"
    )
}

fn sum_hours(backend: DbBackend, (bucket, unit): (&str, &str)) -> String {
    let start = truncate(backend, unit, "start");
    format!(
        "{INSERT} SELECT '{bucket}', {start}, measure, dimension, CAST(SUM(amount) AS bigint)
         FROM statistics WHERE bucket = 'HOUR' GROUP BY {start}, measure, dimension"
    )
}

/// Who was active. The job that folds all activity makes bitmaps of it.
fn activity(backend: DbBackend) -> [String; 2] {
    let insert = "INSERT INTO user_activity (hour, game, user_number, is_folded)";
    let played = truncate(backend, "hour", "played_at");
    let (began, used) = (
        truncate(backend, "hour", "sessions.created_at"),
        truncate(backend, "hour", "last_used_at"),
    );
    let sessions = "sessions JOIN users ON users.id = user_id";
    [
        format!(
            "{insert} SELECT DISTINCT {played}, game, number, false
             FROM rounds JOIN users ON users.id = user_id WHERE status = 'PLAYED' AND is_counted"
        ),
        format!(
            "{insert} SELECT {began}, '', number, false FROM {sessions}
             UNION SELECT {used}, '', number, false FROM {sessions}"
        ),
    ]
}

/// When messages reached the status that they have, as far as it is known.
fn set_status_times(backend: DbBackend) -> String {
    let latest = match backend {
        DbBackend::Postgres => "GREATEST",
        _ => "MAX",
    };
    format!(
        "UPDATE messages
         SET state_at = {latest}(
             created_at, COALESCE(attempted_at, created_at), COALESCE(sent_at, created_at),
             COALESCE(delivered_at, created_at)
         )
         WHERE status NOT IN ('QUEUED', 'SENDING')"
    )
}
