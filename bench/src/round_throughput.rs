//! Benchmark P2: rounds that are started and played, compared with `pgbench` running the same statements; then a mixed
//! load of rounds, logins and leaderboards.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::clock::now;
use crate::environment::{DATABASE, Environment};
use crate::http::{Connection, HttpRequest, graphql};
use crate::load::{LoadRequest, LoadResult, at_fixed_rate, collect_latencies, open};
use crate::postgres::Postgres;
use crate::report::{median, percentile, row, table};
use crate::users::{PASSWORD, TestUser};

const START: &str = "mutation { startRound(game: COIN_FLIP) { id serverSeedHash expiresAt } }";
const PLAY: &str = "mutation ($input: PlayGameInput!) {
  playGame(input: $input) { status outcome won points serverSeed }
}";
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const LEADERBOARD: &str = "{
  leaderboard(game: COIN_FLIP) { entries { rank points profile { displayName } } me { rank } updatedAt }
}";

/// The same statements, for 64 of the users. Half of the rounds are won.
const SWITCHBOARD_STATEMENTS: &str = include_str!("round_throughput.sql");
/// Switchboard's default.
const DATABASE_CONNECTIONS: usize = 10;
const LOGINS_PER_SECOND: u32 = 20;
const LEADERBOARDS_PER_SECOND: u32 = 100;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many rounds: each measures both in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let environment = Environment::start("P2: rounds", binary, &[]).await?;
    let (server, postgres) = (&environment.server, &environment.postgres);
    let users: Arc<[TestUser]> = environment.users.into();
    let duration = Duration::from_secs(options.seconds);
    let play = |duration| play_rounds(server.address, &users, options.connections, duration);
    let cpu_per_round = |cpu_time: Duration, count: f64| cpu_time.as_secs_f64() * 1e6 / count;

    pgbench(postgres, 0, options.seconds.div_ceil(2)).await?;
    play(duration.div_f64(2.0)).await?;
    let (mut baseline_rates, mut rates, mut ratios, mut latencies) =
        (vec![], vec![], vec![], vec![]);
    let (mut baseline_cpu, mut server_cpu, mut database_cpu) = (vec![], vec![], vec![]);
    for round in 1..=options.rounds {
        let before = postgres.process.cpu_time()?;
        let (baseline_rate, completed) = pgbench(postgres, round, options.seconds).await?;
        baseline_cpu.push(cpu_per_round(postgres.process.cpu_since(before)?, completed));

        let before = (server.process.cpu_time()?, postgres.process.cpu_time()?);
        let result = play(duration).await?;
        server_cpu.push(cpu_per_round(server.process.cpu_since(before.0)?, result.count()));
        database_cpu.push(cpu_per_round(postgres.process.cpu_since(before.1)?, result.count()));
        ratios.push(result.rate() / baseline_rate);
        rates.push(result.rate());
        baseline_rates.push(baseline_rate);
        latencies.extend(result.latencies);
    }
    table(&[
        row([&"rounds, started and played", &"a second", &"server CPU us", &"PostgreSQL CPU us"]),
        row([
            &"the same statements by pgbench",
            &format!("{:.0}", median(baseline_rates)),
            &"",
            &format!("{:.0}", median(baseline_cpu)),
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
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99),
    );

    let logins = requests(&users, |user| {
        let input = json!({ "identifier": user.nickname, "password": PASSWORD });
        graphql(LOGIN, &json!({ "input": input }), None)
    })?;
    let leaderboards =
        requests(&users, |user| graphql(LEADERBOARD, &Value::Null, Some(&user.token)))?;
    let (rounds, logins, leaderboards) = tokio::try_join!(
        play(duration),
        at_fixed_rate(server.address, &logins, LOGINS_PER_SECOND, duration),
        at_fixed_rate(server.address, &leaderboards, LEADERBOARDS_PER_SECOND, duration),
    )?;
    let mut rows = vec![row([&"at once", &"a second", &"p50 ms", &"p99 ms"])];
    for (name, result) in
        [("rounds, started and played", rounds), ("logins", logins), ("leaderboards", leaderboards)]
    {
        let latency = |share| format!("{:.1}", percentile(&result.latencies, share));
        rows.push(row([&name, &format!("{:.0}", result.rate()), &latency(0.5), &latency(0.99)]));
    }
    table(&rows);
    Ok(())
}

fn requests(
    users: &[TestUser],
    build_request: impl Fn(&TestUser) -> Result<HttpRequest>,
) -> Result<Arc<[LoadRequest]>> {
    users
        .iter()
        .map(|user| Ok(LoadRequest { request: build_request(user)?, expected: None }))
        .collect()
}

/// Starts and plays rounds on each connection, for one user after the other.
async fn play_rounds(
    address: SocketAddr,
    users: &Arc<[TestUser]>,
    connections: usize,
    duration: Duration,
) -> Result<LoadResult> {
    let opened = open(address, connections).await?;
    let started_at = now();
    let tasks = opened.into_iter().enumerate().map(|(number, mut connection)| {
        let users = users.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            for user in users.iter().cycle().skip(number * users.len() / connections) {
                let started = now();
                if started >= started_at + duration {
                    break;
                }
                play_round(&mut connection, user).await?;
                latencies.push(now() - started);
            }
            Ok(latencies)
        })
    });
    collect_latencies(tasks, started_at).await
}

/// Starts and plays a round.
pub async fn play_round(connection: &mut Connection, user: &TestUser) -> Result<()> {
    let token = Some(&*user.token);
    let started = connection.execute(START, &Value::Null, token).await?;
    let id = started.pointer("/startRound/id").context("a round")?;
    let input = json!({ "roundId": id, "move": { "coinFlip": "HEADS" }, "clientSeed": "bench" });
    let result = connection.execute(PLAY, &json!({ "input": input }), token).await?;
    ensure!(result.pointer("/playGame/status") == Some(&json!("PLAYED")), "{result}");
    Ok(())
}

/// Runs the statements with pgbench alone. Returns rounds per second, and in all.
async fn pgbench(postgres: &Postgres, round: usize, seconds: u64) -> Result<(f64, f64)> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), SWITCHBOARD_STATEMENTS)?;
    let mut command = Command::new(postgres.program("pgbench")?);
    command
        .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"])
        .args(["--client", &DATABASE_CONNECTIONS.to_string(), "--time", &seconds.to_string()])
        // The start of the clients' counters, so that no round id repeats.
        .args(["--define", &format!("counter={}", round * 10_000_000)])
        .arg("--file")
        .arg(script.path())
        .arg(postgres.url(DATABASE));
    let completed = tokio::task::spawn_blocking(move || command.output()).await??;
    let output = String::from_utf8_lossy(&completed.stdout);
    let number = |name: &str| {
        let value = output.lines().find_map(|line| line.strip_prefix(name))?;
        value.split([' ', '/']).next()?.parse().ok()
    };
    let figures = number("tps = ").zip(number("number of transactions actually processed: "));
    figures
        .filter(|_| completed.status.success())
        .with_context(|| format!("{output}{}", String::from_utf8_lossy(&completed.stderr)))
}
