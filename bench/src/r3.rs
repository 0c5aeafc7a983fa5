//! R3: PostgreSQL goes silent, crashes, or becomes read-only, under load: how long errors take, when readiness says
//! so, and when all is whole again.

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
use crate::http::{Connection, Prepared, get, graphql};
use crate::people::Person;
use crate::postgres::Postgres;
use crate::report::{row, table};
use crate::stage::{DATABASE, Stage};

const ME: &str = "{ me { id name contacts(first: 10) { nodes { id name } } } }";
const START: &str = "mutation { startRound(game: COIN_FLIP) { id } }";
const PLAY: &str = "mutation ($input: PlayGameInput!) { playGame(input: $input) { id status } }";
/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);
/// What is whole again stays so for so long.
const STEADY: Duration = Duration::from_secs(5);

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How many seconds each fault lasts.
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// Connections that are kept alive, half of them for reads.
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

/// An answer to one request.
#[derive(Clone, Copy)]
struct Answered {
    sent: Instant,
    took: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Unavailable,
    /// Neither done nor SERVICE_UNAVAILABLE.
    Wrong,
}

#[derive(Default)]
struct Log {
    answers: Mutex<Vec<Answered>>,
    readiness: Mutex<Vec<(Instant, StatusCode)>>,
    played: Mutex<Vec<String>>,
    wrong: Mutex<Option<String>>,
}

/// Measures and prints.
///
/// # Errors
/// When an answer is wrong, or something is lost or doubled.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let stage = Stage::set("R3: faults of PostgreSQL", server, &[]).await?;
    let (address, postgres) = (stage.product.address, &stage.postgres);
    let people: Arc<[Person]> = stage.people.into();
    let log = Arc::new(Log::default());
    let mut load = JoinSet::new();
    for number in 0..options.connections {
        let (people, log) = (people.clone(), log.clone());
        load.spawn(async move { keep_asking(address, &people, number, &log).await });
    }
    let watching = log.clone();
    load.spawn(async move { watch_readiness(address, &watching).await });
    let lasts = Duration::from_secs(options.seconds);
    let mut rows = vec![row([
        &"fault",
        &"longest answer",
        &"readiness says so after",
        &"whole again after its end",
        &"answers: done, unavailable, wrong",
    ])];
    rows.push(
        fault(
            &log,
            "silent",
            lasts,
            || stop(postgres, Signal::SIGSTOP),
            || stop(postgres, Signal::SIGCONT),
        )
        .await?,
    );
    rows.push(fault(&log, "crash", Duration::ZERO, || crash(postgres), || Ok(())).await?);
    let client = postgres.connect("postgres").await?;
    let set = async |setting: &str| {
        let sql = format!("ALTER SYSTEM SET default_transaction_read_only = {setting}");
        client.batch_execute("SET default_transaction_read_only = off").await?;
        client.batch_execute(&sql).await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        Ok::<_, anyhow::Error>(())
    };
    sleep(STEADY).await;
    let started = now();
    set("on").await?;
    sleep(lasts).await;
    let ended = now();
    set("off").await?;
    rows.push(outcome(&log, "read-only", started, ended).await?);
    load.shutdown().await;
    table(&rows);
    compare(postgres, &log).await
}

/// Lets a fault happen and end.
async fn fault(
    log: &Log,
    name: &str,
    lasts: Duration,
    inject: impl FnOnce() -> Result<()>,
    undo: impl FnOnce() -> Result<()>,
) -> Result<Vec<String>> {
    sleep(STEADY).await;
    let began = now();
    inject()?;
    sleep(lasts).await;
    let ended = now();
    undo()?;
    outcome(log, name, began, ended).await
}

/// What was seen of a fault, after it has ended.
async fn outcome(log: &Log, name: &str, began: Instant, ended: Instant) -> Result<Vec<String>> {
    let whole = within(PATIENCE, async {
        loop {
            sleep(POLL).await;
            let answers = log.answers.lock().expect("no panic");
            let failed = answers.iter().rev().find(|it| it.outcome != Outcome::Done);
            let last = failed.map_or(ended, |it| it.sent + it.took).max(ended);
            let readiness = log.readiness.lock().expect("no panic");
            let unready = readiness.iter().rev().find(|(_, status)| *status != StatusCode::OK);
            let last = unready.map_or(last, |(at, _)| *at).max(last);
            if now() - last > STEADY {
                return last;
            }
        }
    });
    let whole = whole.await.with_context(|| format!("not whole again after: {name}"))?;
    let answers = log.answers.lock().expect("no panic");
    let during: Vec<&Answered> = answers.iter().filter(|it| it.sent + it.took >= began).collect();
    let longest = during.iter().map(|it| it.took).max().unwrap_or_default();
    let count = |outcome| during.iter().filter(|it| it.outcome == outcome).count();
    let readiness = log.readiness.lock().expect("no panic");
    let said = readiness.iter().find(|(at, status)| *at >= began && *status != StatusCode::OK);
    let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
    Ok(row([
        &name,
        &seconds(longest),
        &said.map_or("never".to_owned(), |(at, _)| seconds(*at - began)),
        &seconds(whole - ended),
        &format!(
            "{}, {}, {}",
            count(Outcome::Done),
            count(Outcome::Unavailable),
            count(Outcome::Wrong)
        ),
    ]))
}

/// Reads, or plays, one after the other; opens the connection again when it is lost.
async fn keep_asking(address: SocketAddr, people: &[Person], number: usize, log: &Log) {
    for turn in number.. {
        let Ok(mut connection) = Connection::open(address).await else { continue };
        for person in people.iter().cycle().skip(turn * 7) {
            let asked = match number.is_multiple_of(2) {
                true => ask(&mut connection, ME, &Value::Null, person, log).await.map(drop),
                false => play(&mut connection, person, log).await,
            };
            if asked.is_err() {
                break;
            }
        }
    }
}

async fn play(connection: &mut Connection, person: &Person, log: &Log) -> Result<()> {
    let started = ask(connection, START, &Value::Null, person, log).await?;
    let Some(id) = started.pointer("/data/startRound/id").and_then(Value::as_str) else {
        return Ok(());
    };
    let input = json!({ "roundId": id, "move": { "coinFlip": "HEADS" }, "clientSeed": "bench" });
    let played = ask(connection, PLAY, &json!({ "input": input }), person, log).await?;
    if played.pointer("/data/playGame/status").and_then(Value::as_str) == Some("PLAYED") {
        log.played.lock().expect("no panic").push(id.to_owned());
    }
    Ok(())
}

async fn ask(
    connection: &mut Connection,
    document: &str,
    variables: &Value,
    person: &Person,
    log: &Log,
) -> Result<Value> {
    let sent = now();
    let request: Prepared = graphql(document, variables, Some(&person.token))?;
    let (_, body) = connection.send(request).await?;
    let answer: Value = serde_json::from_slice(&body)?;
    let code = answer.pointer("/errors/0/extensions/code").and_then(Value::as_str);
    let outcome = match code {
        // Rounds that nobody could play stay open for some minutes.
        None | Some("RATE_LIMITED") => Outcome::Done,
        Some("SERVICE_UNAVAILABLE") => Outcome::Unavailable,
        Some(_) => {
            log.wrong.lock().expect("no panic").get_or_insert_with(|| answer.to_string());
            Outcome::Wrong
        }
    };
    log.answers.lock().expect("no panic").push(Answered { sent, took: now() - sent, outcome });
    Ok(answer)
}

async fn watch_readiness(address: SocketAddr, log: &Log) {
    loop {
        let Ok(mut connection) = Connection::open(address).await else { continue };
        while let Ok(request) = get("/health/ready")
            && let Ok((status, _)) = connection.send(request).await
        {
            log.readiness.lock().expect("no panic").push((now(), status));
            sleep(POLL).await;
        }
    }
}

/// Stops all of the server, or lets it go on.
fn stop(postgres: &Postgres, signal: Signal) -> Result<()> {
    for id in postgres.process.with_its_children()? {
        // One that ended just now needs nothing.
        let _ = kill(id, signal);
    }
    Ok(())
}

/// Kills one of its processes: the server ends all connections and recovers.
fn crash(postgres: &Postgres) -> Result<()> {
    let ids = postgres.process.with_its_children()?;
    kill(*ids.last().context("a child")?, Signal::SIGKILL)?;
    Ok(())
}

/// Whether everything that was acknowledged is there, once.
async fn compare(postgres: &Postgres, log: &Log) -> Result<()> {
    let client = postgres.connect(DATABASE).await?;
    let played = log.played.lock().expect("no panic").len();
    let there = "SELECT count(*) FROM rounds WHERE status = 'PLAYED'";
    let there: i64 = client.query_one(there, &[]).await?.get(0);
    ensure!(there >= i64::try_from(played)?, "{played} plays were answered, {there} are there");
    for (what, sql) in [
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
        ensure!(count == 0, "{count} {what}");
    }
    println!(
        "{played} plays were answered, {there} are in the table; no wallet differs, no round paid twice."
    );
    if let Some(wrong) = &*log.wrong.lock().expect("no panic") {
        println!("The first wrong answer: {wrong}");
    }
    Ok(())
}
