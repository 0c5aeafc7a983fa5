//! Benchmark R3: PostgreSQL hangs, crashes, or becomes read-only under load. Measures how long errors take, when
//! readiness reports the fault, and the time to recovery.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clock::{now, sleep, within};
use crate::environment::{DATABASE, Environment};
use crate::http::{Connection, HttpRequest, get, graphql};
use crate::postgres::Postgres;
use crate::report::{row, table};
use crate::users::TestUser;

const ME: &str = "{ me { id name contacts(first: 10) { nodes { id name } } } }";
const START_ROUND: &str = "mutation { startRound(game: COIN_FLIP) { id } }";
const PLAY: &str = "mutation ($input: PlayGameInput!) { playGame(input: $input) { id status } }";
/// How long recovery may take.
const TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The server counts as recovered after so long without an error.
const STEADY_DURATION: Duration = Duration::from_secs(5);

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// The duration of each fault, in seconds.
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// Keep-alive connections. Half of them only read.
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

/// A request and its outcome.
#[derive(Clone, Copy)]
struct RequestRecord {
    sent_at: Instant,
    latency: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Unavailable,
    /// Another error than SERVICE_UNAVAILABLE.
    Unexpected,
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<RequestRecord>>,
    readiness: Mutex<Vec<(Instant, StatusCode)>>,
    /// The ids of acknowledged plays.
    played: Mutex<Vec<String>>,
    first_unexpected: Mutex<Option<String>>,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let environment = Environment::start("R3: faults of PostgreSQL", binary, &[]).await?;
    let (address, postgres) = (environment.server.address, &environment.postgres);
    let users: Arc<[TestUser]> = environment.users.into();
    let log = Arc::new(Log::default());
    let mut load = JoinSet::new();
    for number in 0..options.connections {
        let (users, log) = (users.clone(), log.clone());
        load.spawn(async move { send_requests(address, &users, number, &log).await });
    }
    let readiness_log = log.clone();
    load.spawn(async move { watch_readiness(address, &readiness_log).await });
    let fault_duration = Duration::from_secs(options.seconds);
    let mut rows = vec![row([
        &"fault",
        &"longest answer",
        &"readiness says so after",
        &"whole again after its end",
        &"answers: done, unavailable, wrong",
    ])];
    rows.push(
        inject_fault(
            &log,
            "silent",
            fault_duration,
            || signal_all(postgres, Signal::SIGSTOP),
            || signal_all(postgres, Signal::SIGCONT),
        )
        .await?,
    );
    rows.push(
        inject_fault(&log, "crash", Duration::ZERO, || kill_backend(postgres), || Ok(())).await?,
    );
    let client = postgres.connect("postgres").await?;
    let set_read_only = async |setting: &str| {
        let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {setting}");
        client.batch_execute("SET default_transaction_read_only = off").await?;
        client.batch_execute(&sql).await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        Ok::<_, anyhow::Error>(())
    };
    sleep(STEADY_DURATION).await;
    let started_at = now();
    set_read_only("on").await?;
    sleep(fault_duration).await;
    let ended_at = now();
    set_read_only("off").await?;
    rows.push(fault_row(&log, "read-only", started_at, ended_at).await?);
    load.shutdown().await;
    table(&rows);
    verify_data(postgres, &log).await
}

/// Injects a fault, undoes it after a while, and returns its row.
async fn inject_fault(
    log: &Log,
    name: &str,
    fault_duration: Duration,
    inject: impl FnOnce() -> Result<()>,
    undo: impl FnOnce() -> Result<()>,
) -> Result<Vec<String>> {
    sleep(STEADY_DURATION).await;
    let started_at = now();
    inject()?;
    sleep(fault_duration).await;
    let ended_at = now();
    undo()?;
    fault_row(log, name, started_at, ended_at).await
}

/// Waits for recovery from a fault and returns its row.
async fn fault_row(
    log: &Log,
    name: &str,
    started_at: Instant,
    ended_at: Instant,
) -> Result<Vec<String>> {
    let recovered_at = within(TIMEOUT, async {
        loop {
            sleep(POLL_INTERVAL).await;
            let requests = log.requests.lock().expect("no panic");
            let last_failure = requests.iter().rev().find(|record| record.outcome != Outcome::Done);
            let last = last_failure
                .map_or(ended_at, |record| record.sent_at + record.latency)
                .max(ended_at);
            let readiness = log.readiness.lock().expect("no panic");
            let last_unready = readiness.iter().rev().find(|(_, status)| *status != StatusCode::OK);
            let last = last_unready.map_or(last, |(at, _)| *at).max(last);
            if now() - last > STEADY_DURATION {
                return last;
            }
        }
    });
    let recovered_at =
        recovered_at.await.with_context(|| format!("not whole again after: {name}"))?;
    let requests = log.requests.lock().expect("no panic");
    let records: Vec<&RequestRecord> =
        requests.iter().filter(|record| record.sent_at + record.latency >= started_at).collect();
    let longest = records.iter().map(|record| record.latency).max().unwrap_or_default();
    let count = |outcome| records.iter().filter(|record| record.outcome == outcome).count();
    let readiness = log.readiness.lock().expect("no panic");
    let first_unready =
        readiness.iter().find(|(at, status)| *at >= started_at && *status != StatusCode::OK);
    let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
    Ok(row([
        &name,
        &seconds(longest),
        &first_unready.map_or("never".to_owned(), |(at, _)| seconds(*at - started_at)),
        &seconds(recovered_at - ended_at),
        &format!(
            "{}, {}, {}",
            count(Outcome::Done),
            count(Outcome::Unavailable),
            count(Outcome::Unexpected)
        ),
    ]))
}

/// Sends reads or plays one after the other. Reconnects when the connection is lost.
async fn send_requests(address: SocketAddr, users: &[TestUser], number: usize, log: &Log) {
    for attempt in number.. {
        let Ok(mut connection) = Connection::open(address).await else { continue };
        for user in users.iter().cycle().skip(attempt * 7) {
            let result = match number.is_multiple_of(2) {
                true => send(&mut connection, ME, &Value::Null, user, log).await.map(drop),
                false => play(&mut connection, user, log).await,
            };
            if result.is_err() {
                break;
            }
        }
    }
}

/// Starts and plays a round.
async fn play(connection: &mut Connection, user: &TestUser, log: &Log) -> Result<()> {
    let started = send(connection, START_ROUND, &Value::Null, user, log).await?;
    let Some(id) = started.pointer("/data/startRound/id").and_then(Value::as_str) else {
        return Ok(());
    };
    let input = json!({ "roundId": id, "move": { "coinFlip": "HEADS" }, "clientSeed": "bench" });
    let played = send(connection, PLAY, &json!({ "input": input }), user, log).await?;
    if played.pointer("/data/playGame/status").and_then(Value::as_str) == Some("PLAYED") {
        log.played.lock().expect("no panic").push(id.to_owned());
    }
    Ok(())
}

async fn send(
    connection: &mut Connection,
    document: &str,
    variables: &Value,
    user: &TestUser,
    log: &Log,
) -> Result<Value> {
    let sent_at = now();
    let request: HttpRequest = graphql(document, variables, Some(&user.token))?;
    let (_, body) = connection.send(request).await?;
    let response: Value = serde_json::from_slice(&body)?;
    let code = response.pointer("/errors/0/extensions/code").and_then(Value::as_str);
    let outcome = match code {
        // Rounds that could not be played stay open for some minutes and reach the limit of open rounds.
        None | Some("RATE_LIMITED") => Outcome::Done,
        Some("SERVICE_UNAVAILABLE") => Outcome::Unavailable,
        Some(_) => {
            log.first_unexpected
                .lock()
                .expect("no panic")
                .get_or_insert_with(|| response.to_string());
            Outcome::Unexpected
        }
    };
    log.requests.lock().expect("no panic").push(RequestRecord {
        sent_at,
        latency: now() - sent_at,
        outcome,
    });
    Ok(response)
}

async fn watch_readiness(address: SocketAddr, log: &Log) {
    loop {
        let Ok(mut connection) = Connection::open(address).await else { continue };
        while let Ok(request) = get("/health/ready")
            && let Ok((status, _)) = connection.send(request).await
        {
            log.readiness.lock().expect("no panic").push((now(), status));
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Sends a signal to all processes of the server.
fn signal_all(postgres: &Postgres, signal: Signal) -> Result<()> {
    for id in postgres.process.process_ids()? {
        // A process that just ended needs no signal.
        let _ = kill(id, signal);
    }
    Ok(())
}

/// Kills one process: the server closes all connections and recovers.
fn kill_backend(postgres: &Postgres) -> Result<()> {
    let ids = postgres.process.process_ids()?;
    kill(*ids.last().context("a child")?, Signal::SIGKILL)?;
    Ok(())
}

/// Verifies that every acknowledged play is in the database, and that none paid twice.
async fn verify_data(postgres: &Postgres, log: &Log) -> Result<()> {
    let client = postgres.connect(DATABASE).await?;
    let played = log.played.lock().expect("no panic").len();
    let count_played = "SELECT count(*) FROM rounds WHERE status = 'PLAYED'";
    let stored_plays: i64 = client.query_one(count_played, &[]).await?.get(0);
    ensure!(
        stored_plays >= i64::try_from(played)?,
        "{played} plays were answered, {stored_plays} are there"
    );
    for (name, sql) in [
        (
            "wallets that differ from their entries",
            "SELECT count(*) FROM wallets w WHERE balance <>
               (SELECT coalesce(sum(amount), 0) FROM coin_entries e WHERE e.user_id = w.user_id)",
        ),
        (
            "rounds that paid twice",
            "SELECT count(*) FROM (SELECT 1 FROM coin_entries GROUP BY reference HAVING count(*) > 1) d",
        ),
    ] {
        let count: i64 = client.query_one(sql, &[]).await?.get(0);
        ensure!(count == 0, "{count} {name}");
    }
    println!(
        "{played} plays were answered, {stored_plays} are in the table; no wallet differs, no round paid twice."
    );
    if let Some(first_unexpected) = &*log.first_unexpected.lock().expect("no panic") {
        println!("The first wrong answer: {first_unexpected}");
    }
    Ok(())
}
