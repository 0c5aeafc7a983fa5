//! The floor of an import: the numbers once through the product's normaliser, and raw set-based SQL in one transaction
//! that writes the same rows.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use futures_util::SinkExt;
use hyper::body::Bytes;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use switchboard::bonuses::file::parse_numbers;
use switchboard::platform::Platform;
use switchboard::platform::phone::Region;
use tokio_postgres::Client;

use super::database::{Database, to_anyhow};
use super::numbers::REGION;
use crate::clock::now;
use crate::process::Process;

/// What the product parses at once, too.
const CHUNK_LEN: usize = 5_000;

/// The time and the CPU time of the floor.
#[derive(Clone, Copy, Debug)]
pub struct FloorTimes {
    /// The normaliser, on all cores.
    pub parsing: Duration,
    /// The numbers on their way into a table of the database.
    pub loading: Duration,
    /// The statements and the commit.
    pub writing: Duration,
    /// The CPU time of this process and of PostgreSQL.
    pub cpu_used: Duration,
}

impl FloorTimes {
    /// The whole time.
    pub fn total(&self) -> Duration {
        self.parsing + self.loading + self.writing
    }
}

/// Measures the floor. `postgres` are the processes of the database, if it has any.
pub async fn measure(
    database: &Database,
    lines: &[String],
    postgres: Option<Process>,
) -> Result<FloorTimes> {
    let own = Process::single(std::process::id());
    let cpu_time = || -> Result<Duration> {
        Ok(own.cpu_time()? + postgres.map_or(Ok(Duration::ZERO), Process::cpu_time)?)
    };
    let (cpu_before, started_at) = (cpu_time()?, now());
    let numbers = normalise(lines)?;
    let parsed_at = now();
    let (loading, writing) = match database {
        Database::Postgres(client) => write_postgres(client, &numbers).await?,
        Database::Sqlite(platform) => write_sqlite(platform, &numbers).await?,
    };
    let cpu_used = cpu_time()?.saturating_sub(cpu_before);
    Ok(FloorTimes { parsing: parsed_at - started_at, loading, writing, cpu_used })
}

fn normalise(lines: &[String]) -> Result<Vec<String>> {
    let region = Region::parse(REGION).map_err(|error| anyhow!(error.message))?;
    let mut numbers = Vec::with_capacity(lines.len());
    for chunk in lines.chunks(CHUNK_LEN) {
        for parsed in parse_numbers(chunk, Some(&region)) {
            match parsed {
                Ok(number) => numbers.push(number.as_str().to_owned()),
                Err(reason) => bail!("a line is invalid: {}", reason.as_str()),
            }
        }
    }
    Ok(numbers)
}

async fn write_postgres(client: &Client, numbers: &[String]) -> Result<(Duration, Duration)> {
    let started_at = now();
    client
        .batch_execute("BEGIN; CREATE TEMPORARY TABLE numbers (phone text NOT NULL) ON COMMIT DROP")
        .await?;
    let mut sink = pin!(client.copy_in("COPY numbers FROM STDIN").await?);
    for chunk in numbers.chunks(CHUNK_LEN) {
        let lines = chunk.join("\n") + "\n";
        sink.send(Bytes::from(lines)).await?;
    }
    sink.finish().await?;
    let loaded_at = now();
    client.batch_execute(include_str!("floor.postgres.sql")).await?;
    client.batch_execute("COMMIT").await?;
    Ok((loaded_at - started_at, now() - loaded_at))
}

async fn write_sqlite(platform: &Platform, numbers: &[String]) -> Result<(Duration, Duration)> {
    let started_at = now();
    let work = platform.begin_batch().await.map_err(to_anyhow)?;
    work.execute_unprepared("CREATE TEMPORARY TABLE numbers (phone text NOT NULL)").await?;
    for chunk in numbers.chunks(CHUNK_LEN) {
        let insert = "INSERT INTO numbers SELECT value FROM json_each(?1)";
        let rows = serde_json::to_string(chunk)?;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, insert, [rows.into()]);
        work.execute_raw(statement).await?;
    }
    let loaded_at = now();
    for statement in include_str!("floor.sqlite.sql").split(";\n") {
        work.execute_unprepared(statement).await?;
    }
    work.commit().await.map_err(to_anyhow)?;
    Ok((loaded_at - started_at, now() - loaded_at))
}
