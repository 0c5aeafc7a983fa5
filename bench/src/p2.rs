//! P2: starting a round and playing it, beside `pgbench` with the same statements; then rounds, logins and
//! leaderboards at once.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::clock::now;
use crate::http::{Connection, Prepared, graphql};
use crate::load::{Shot, Tally, at_pace, gather, open};
use crate::people::{PASSWORD, Person};
use crate::postgres::Postgres;
use crate::report::{median, percentile, row, table};
use crate::stage::{DATABASE, Stage};

const START: &str = "mutation { startRound(game: COIN_FLIP) { id serverSeedHash expiresAt } }";
const PLAY: &str = "mutation ($input: PlayGameInput!) {
  playGame(input: $input) { status outcome won points serverSeed }
}";
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const BOARD: &str = "{
  leaderboard(game: COIN_FLIP) { entries { rank points profile { displayName } } me { rank } updatedAt }
}";

/// For 64 of the people who are rows. Half of the rounds are won.
const SAME_STATEMENTS: &str = include_str!("p2.sql");
/// As many as the product has when nothing is set.
const DATABASE_CONNECTIONS: usize = 10;
const LOGINS_PER_SECOND: u32 = 20;
const BOARDS_PER_SECOND: u32 = 100;

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How often each is measured, by turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// For how many seconds each time.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Connections that are kept alive.
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

/// Measures and prints.
///
/// # Errors
/// When an answer is wrong, or `pgbench` is missing.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let stage = Stage::set("P2: rounds", server, &[]).await?;
    let (product, postgres) = (&stage.product, &stage.postgres);
    let people: Arc<[Person]> = stage.people.into();
    let duration = Duration::from_secs(options.seconds);
    let playing = |duration| playing(product.address, &people, options.connections, duration);
    let each = |used: Duration, count: f64| used.as_secs_f64() * 1e6 / count;

    pgbench(postgres, 0, options.seconds.div_ceil(2)).await?;
    playing(duration.div_f64(2.0)).await?;
    let (mut bare, mut rates, mut ratios, mut waits) = (vec![], vec![], vec![], vec![]);
    let (mut bare_cpu, mut server_cpu, mut database_cpu) = (vec![], vec![], vec![]);
    for turn in 1..=options.rounds {
        let before = postgres.process.cpu()?;
        let (same, done) = pgbench(postgres, turn, options.seconds).await?;
        bare_cpu.push(each(postgres.process.cpu_since(before)?, done));

        let before = (product.process.cpu()?, postgres.process.cpu()?);
        let played = playing(duration).await?;
        server_cpu.push(each(product.process.cpu_since(before.0)?, played.count()));
        database_cpu.push(each(postgres.process.cpu_since(before.1)?, played.count()));
        ratios.push(played.rate() / same);
        rates.push(played.rate());
        bare.push(same);
        waits.extend(played.latencies);
    }
    table(&[
        row([&"rounds, started and played", &"a second", &"server CPU us", &"PostgreSQL CPU us"]),
        row([
            &"the same statements by pgbench",
            &format!("{:.0}", median(bare)),
            &"",
            &format!("{:.0}", median(bare_cpu)),
        ]),
        row([
            &"product",
            &format!("{:.0}", median(rates)),
            &format!("{:.0}", median(server_cpu)),
            &format!("{:.0}", median(database_cpu)),
        ]),
    ]);
    println!(
        "Product over pgbench: {:.2} (target: at least 0.6); a round's p50 and p99, {} at once: {:.1} and {:.1} ms\n",
        median(ratios),
        options.connections,
        percentile(&waits, 0.5),
        percentile(&waits, 0.99),
    );

    let logins = shots(&people, |person| {
        let input = json!({ "identifier": person.nickname, "password": PASSWORD });
        graphql(LOGIN, &json!({ "input": input }), None)
    })?;
    let boards = shots(&people, |person| graphql(BOARD, &Value::Null, Some(&person.token)))?;
    let (rounds, logins, boards) = tokio::try_join!(
        playing(duration),
        at_pace(product.address, &logins, LOGINS_PER_SECOND, duration),
        at_pace(product.address, &boards, BOARDS_PER_SECOND, duration),
    )?;
    let mut rows = vec![row([&"at once", &"a second", &"p50 ms", &"p99 ms"])];
    for (what, tally) in
        [("rounds, started and played", rounds), ("logins", logins), ("leaderboards", boards)]
    {
        let of = |share| format!("{:.1}", percentile(&tally.latencies, share));
        rows.push(row([&what, &format!("{:.0}", tally.rate()), &of(0.5), &of(0.99)]));
    }
    table(&rows);
    Ok(())
}

fn shots(people: &[Person], of: impl Fn(&Person) -> Result<Prepared>) -> Result<Arc<[Shot]>> {
    people.iter().map(|person| Ok(Shot { request: of(person)?, expected: None })).collect()
}

/// Each of the connections starts a round and plays it, for one person after the other, again and again.
async fn playing(
    address: SocketAddr,
    people: &Arc<[Person]>,
    connections: usize,
    duration: Duration,
) -> Result<Tally> {
    let opened = open(address, connections).await?;
    let began = now();
    let tasks = opened.into_iter().enumerate().map(|(number, mut connection)| {
        let people = people.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for person in people.iter().cycle().skip(number * people.len() / connections) {
                let from = now();
                if from >= began + duration {
                    break;
                }
                round(&mut connection, person).await?;
                latencies.push(now() - from);
            }
            Ok(latencies)
        })
    });
    gather(tasks, began).await
}

async fn round(connection: &mut Connection, person: &Person) -> Result<()> {
    let token = Some(&*person.token);
    let started = connection.ask(START, &Value::Null, token).await?;
    let id = started.pointer("/startRound/id").context("a round")?;
    let input = json!({ "roundId": id, "move": { "coinFlip": "HEADS" }, "clientSeed": "bench" });
    let played = connection.ask(PLAY, &json!({ "input": input }), token).await?;
    ensure!(played.pointer("/playGame/status") == Some(&json!("PLAYED")), "{played}");
    Ok(())
}

/// Rounds that the database alone does: a second, and in all.
async fn pgbench(postgres: &Postgres, turn: usize, seconds: u64) -> Result<(f64, f64)> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SAME_STATEMENTS)?;
    let mut command = Command::new(postgres.program("pgbench")?);
    command
        .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"])
        .args(["--client", &DATABASE_CONNECTIONS.to_string(), "--time", &seconds.to_string()])
        // What the clients count on from, so that no round comes twice.
        .args(["--define", &format!("turn={}", turn * 10_000_000)])
        .arg("--file")
        .arg(script.path())
        .arg(postgres.url(DATABASE));
    let done = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&done.stdout);
    let number = |name: &str| {
        let value = said.lines().find_map(|line| line.strip_prefix(name))?;
        value.split([' ', '/']).next()?.parse().ok()
    };
    let figures = number("tps = ").zip(number("number of transactions actually processed: "));
    figures
        .filter(|_| done.status.success())
        .with_context(|| format!("{said}{}", String::from_utf8_lossy(&done.stderr)))
}
