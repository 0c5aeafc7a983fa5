//! Benchmark of batch writes: credits with a message each, through the product's functions and by raw set-based SQL that
//! makes the same rows. Both run in this process, in one transaction each, by turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use switchboard::app::{App, build_platform, prepare_database};
use switchboard::coins::{Credit, EntryReason, post_many};
use switchboard::config::Config;
use switchboard::error::Error;
use switchboard::ids::UserId;
use switchboard::messages::{Kind, MessageText, NewMessage, enqueue_many};
use switchboard::platform::phone::PhoneNumber;

use crate::clock::now;
use crate::postgres::Postgres;
use crate::report::{median, print_environment, row, table};

const DATABASE: &str = "batch";
/// The tables that are written.
const TABLES: [&str; 4] = ["message_transitions", "messages", "coin_entries", "wallets"];

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// Number of credits.
    #[arg(long, default_value_t = 50_000)]
    credits: usize,
    /// How many turns each has.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Measures and prints the figures.
pub async fn run(options: Options) -> Result<()> {
    let postgres = Postgres::start().await?;
    let client = postgres.connect("postgres").await?;
    client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
    print_environment("Batch writes", &postgres.version);
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite://{}", folder.path().join("batch.db").display());
    let mut rows = vec![row([
        &"database",
        &"credits with messages",
        &"raw s",
        &"product s",
        &"of it credits s",
        &"ratio",
    ])];
    for (name, url) in [("PostgreSQL", postgres.url(DATABASE)), ("SQLite", file)] {
        let app = start(url, folder.path().display().to_string()).await?;
        let comparison = compare(&app, &options).await?;
        rows.push(row([
            &name,
            &options.credits,
            &format!("{:.2}", comparison.raw),
            &format!("{:.2}", comparison.product),
            &format!("{:.2}", comparison.credits),
            &format!("{:.2}", comparison.product / comparison.raw),
        ]));
    }
    table(&rows);
    Ok(())
}

/// Medians in seconds.
struct Comparison {
    raw: f64,
    product: f64,
    credits: f64,
}

async fn start(database_url: String, data_dir: String) -> Result<App> {
    let statement_seconds = "300".to_owned();
    let settings = [
        ("DATABASE_URL", database_url),
        ("DATA_DIR", data_dir),
        ("DATABASE_STATEMENT_SECONDS", statement_seconds),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value));
    let mut config =
        Config::from_values(settings.into()).map_err(|problems| anyhow!("{problems:?}"))?;
    let platform = build_platform(&mut config).map_err(|problems| anyhow!("{problems:?}"))?;
    prepare_database(&platform).await.map_err(to_anyhow)?;
    App::new(config, platform).await.map_err(to_anyhow)
}

async fn compare(app: &App, options: &Options) -> Result<Comparison> {
    let db = app.platform.database.writes();
    let backend = db.get_database_backend();
    let (insert_users, insert_raw) = match backend {
        DbBackend::Postgres => {
            (include_str!("batch_users.postgres.sql"), include_str!("batch_writes.postgres.sql"))
        }
        _ => (include_str!("batch_users.sqlite.sql"), include_str!("batch_writes.sqlite.sql")),
    };
    let count = i32::try_from(options.credits)?;
    db.execute_raw(Statement::from_sql_and_values(backend, insert_users, [count.into()])).await?;
    let users = db.query_all_raw(Statement::from_string(backend, "SELECT id FROM users")).await?;
    let users =
        users.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<UserId>, _>>()?;
    let (mut raw, mut product, mut credits) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds {
        clear(app, backend).await?;
        let started_at = now();
        write_raw(app, insert_raw).await?;
        raw.push(seconds_since(started_at));
        verify(app, backend, options.credits).await?;

        clear(app, backend).await?;
        let (batch, messages) = inputs(&users, round)?;
        let started_at = now();
        credits.push(write_product(app, &batch, messages).await?.as_secs_f64());
        product.push(seconds_since(started_at));
        verify(app, backend, options.credits).await?;
    }
    Ok(Comparison { raw: median(raw), product: median(product), credits: median(credits) })
}

async fn write_raw(app: &App, insert_raw: &str) -> Result<()> {
    let work = app.platform.begin_batch().await.map_err(to_anyhow)?;
    for statement in insert_raw.split(";\n") {
        work.execute_unprepared(statement).await?;
    }
    work.commit().await.map_err(to_anyhow)
}

fn inputs(users: &[UserId], round: usize) -> Result<(Vec<Credit>, Vec<NewMessage>)> {
    let credit = |user: &UserId| Credit {
        user: *user,
        amount: 5,
        reference: format!("bench:{round}:{user}"),
    };
    let messages = (0..users.len()).map(|number| {
        let phone = format!("+3161{number:07}");
        Ok(NewMessage {
            kind: Kind::Bonus,
            to: PhoneNumber::parse(&phone, None).map_err(|error| anyhow!(error.message))?,
            text: MessageText::Plain(format!(
                "Hello Player {number}, you have five more coins. Have fun!"
            )),
            campaign: Some("bench".to_owned()),
            expires_at: None,
        })
    });
    Ok((users.iter().map(credit).collect(), messages.collect::<Result<_>>()?))
}

/// Returns the time of the credits.
async fn write_product(
    app: &App,
    credits: &[Credit],
    messages: Vec<NewMessage>,
) -> Result<Duration> {
    let platform = &app.platform;
    let started_at = now();
    let work = platform.begin_batch().await.map_err(to_anyhow)?;
    post_many(&work, platform, EntryReason::Bonus, credits).await.map_err(to_anyhow)?;
    let credits_took = now() - started_at;
    let messages = messages.into_iter().map(|message| (platform.new_id(), message)).collect();
    enqueue_many(&app.messages, platform, &work, messages).await.map_err(to_anyhow)?;
    work.commit().await.map_err(to_anyhow)?;
    Ok(credits_took)
}

/// Empties the tables, so that each turn writes the same rows into the same database.
async fn clear(app: &App, backend: DbBackend) -> Result<()> {
    let db = app.platform.database.writes();
    for table in TABLES {
        db.execute_unprepared(&format!("DELETE FROM {table}")).await?;
    }
    match backend {
        DbBackend::Postgres => {
            db.execute_unprepared("VACUUM ANALYZE").await?;
            db.execute_unprepared("CHECKPOINT").await?;
        }
        _ => _ = db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await?,
    }
    Ok(())
}

async fn verify(app: &App, backend: DbBackend, expected: usize) -> Result<()> {
    for table in &TABLES[1..] {
        let sql = format!("SELECT count(*) FROM {table}");
        let db = app.platform.database.writes();
        let row = db.query_one_raw(Statement::from_string(backend, sql)).await?;
        let count: i64 = row.context("a row")?.try_get_by_index(0)?;
        ensure!(usize::try_from(count)? == expected, "{table} has {count} rows");
    }
    Ok(())
}

fn seconds_since(started_at: Instant) -> f64 {
    (now() - started_at).as_secs_f64()
}

/// An error of the product has no `Display`, so that clients never get its cause.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn to_anyhow(error: Error) -> anyhow::Error {
    anyhow!(error.describe())
}
