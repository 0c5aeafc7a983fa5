//! Benchmark P9: dashboards of a year, beside the same figures counted from the rows; and plays while dashboards are
//! open.

use std::iter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::clock::now;
use crate::environment::{DATABASE, Environment};
use crate::http::{Connection, graphql};
use crate::load::{LoadRequest, at_full_speed, in_open_loop};
use crate::report::{percentile, row, table};
use crate::round_throughput::play_round;
use crate::server::secret_keys;
use crate::test_accounts::str_at;
use crate::transports::Socket;
use crate::users::{PASSWORD, TestUser};

const COUNT_ROWS: &str = include_str!("dashboards.sql");
/// Everything that a dashboard has.
const FIELDS: &str = "
  id from until asOf
  totals { id users newUsers activeUsers rounds points coinsCredited messagesSent messagesDelivered messagesFailed connectionCalls }
  series { id start newUsers activeUsers rounds points coinsCredited messagesSent messagesDelivered messagesFailed connectionCalls }
  games { id game rounds players points winRate }
  topPlayers { id rank points profile { displayName } }
  messages { id sent delivered undelivered failed expired cancelled unknown }
  coins { id reason credited debited }
  campaigns { id campaign status credited pending messagesDelivered messagesFailed }";
const LOGIN: &str = "mutation ($input: LoginInput!) {
  login(input: $input) { ... on AuthTokens { accessToken } }
}";
const OPEN_DASHBOARDS: usize = 20;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many players the demo data has. Each plays ten rounds on average.
    #[arg(long, default_value_t = 1_000_000)]
    players: u64,
    /// How many days the demo data goes back.
    #[arg(long, default_value_t = 380)]
    days: u32,
    /// Seconds per measurement of queries.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// How many times plays are measured, with and without open dashboards in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds per measurement of plays.
    #[arg(long, default_value_t = 20)]
    play_seconds: u64,
    /// How many rounds are started and played in a second.
    #[arg(long, default_value_t = 25)]
    plays_per_second: u32,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let keys = secret_keys()?;
    let settings = [("SECRET_KEYS", keys.as_str()), ("STREAMS_PER_USER", "1000")];
    let environment = Environment::start("P9: dashboards", binary, &settings).await?;
    let Environment { server, postgres, users } = &environment;
    make_demo_data(binary, &postgres.url(DATABASE), &keys, &options).await?;
    let database = postgres.connect(DATABASE).await?;
    // As autovacuum would do in time. VACUUM cannot run inside a transaction, so it is a call of its own.
    database.batch_execute("VACUUM ANALYZE").await?;
    database.batch_execute("CHECKPOINT").await?;
    let operator =
        promote(&users[0], &database, &mut Connection::open(server.address).await?).await?;
    let dashboards = Dashboards { environment: &environment, database, operator };
    dashboards.measure_queries(Duration::from_secs(options.seconds)).await?;
    dashboards.measure_plays(&options).await
}

/// Runs `switchboard demo` beside the server.
async fn make_demo_data(
    binary: &Path,
    database: &str,
    keys: &str,
    options: &Options,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let started_at = now();
    let output = Command::new(binary)
        .args([
            "demo",
            "--users",
            &options.players.to_string(),
            "--days",
            &options.days.to_string(),
        ])
        .current_dir(folder.path())
        .env_clear()
        .env("ENVIRONMENT", "development")
        .env("DATA_DIR", folder.path())
        .env("DATABASE_URL", database)
        .env("DATABASE_TLS", "off")
        .env("SECRET_KEYS", keys)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!(
        "`switchboard demo --users {} --days {}` took {:.0} s.\n",
        options.players,
        options.days,
        (now() - started_at).as_secs_f64()
    );
    Ok(())
}

/// Makes a user an administrator. Returns a new access token.
async fn promote(
    user: &TestUser,
    database: &Client,
    connection: &mut Connection,
) -> Result<String> {
    let promote = "UPDATE users SET role = 'ADMIN' WHERE nickname = $1";
    database.execute(promote, &[&user.nickname]).await?;
    let input = json!({ "identifier": user.nickname, "password": PASSWORD });
    let data = connection.execute(LOGIN, &json!({ "input": input }), None).await?;
    Ok(str_at(&data, "/login/accessToken")?.to_owned())
}

/// A range: what it is called, how many hours it goes back from now, and its bucket.
type Range = (&'static str, i32, &'static str);
const YEAR_BY_DAY: Range = ("a year by day", 24 * 364, "DAY");
const RANGES: [Range; 4] = [
    YEAR_BY_DAY,
    ("two days by hour", 47, "HOUR"),
    ("9,000 points by hour", 8_999, "HOUR"),
    ("ten years by month", 24 * 3_650, "MONTH"),
];

struct Dashboards<'a> {
    environment: &'a Environment,
    database: Client,
    operator: String,
}

impl Dashboards<'_> {
    async fn measure_queries(&self, duration: Duration) -> Result<()> {
        let Environment { server, postgres, .. } = self.environment;
        let mut rows = vec![row([
            &"dashboard",
            &"points",
            &"kB",
            &"p50 ms",
            &"p95 ms",
            &"server CPU ms",
            &"PostgreSQL CPU ms",
        ])];
        for range in RANGES {
            let variables = self.variables(range).await?;
            let query = format!(
                "query ($input: DashboardInput!) {{ dashboard(input: $input) {{ {FIELDS} }} }}"
            );
            let request = graphql(&query, &variables, Some(&self.operator))?;
            let (_, body) = Connection::open(server.address).await?.send(request.clone()).await?;
            let response: Value = serde_json::from_slice(&body)?;
            let dashboard =
                response.pointer("/data/dashboard").with_context(|| response.to_string())?;
            self.verify(dashboard).await?;
            let points = dashboard["series"].as_array().context("a series")?.len();
            let requests: Arc<[LoadRequest]> = [LoadRequest { request, expected: None }].into();
            // One at a time: measures the cost of a query without queueing.
            let before = (server.process.cpu_time()?, postgres.process.cpu_time()?);
            let result = at_full_speed(server.address, &requests, 1, duration).await?;
            let cpu_per_query = |used: Duration| used.as_secs_f64() * 1e3 / result.count();
            rows.push(row([
                &range.0,
                &points,
                &(body.len() / 1_000),
                &format!("{:.1}", percentile(&result.latencies, 0.5)),
                &format!("{:.1}", percentile(&result.latencies, 0.95)),
                &format!("{:.1}", cpu_per_query(server.process.cpu_since(before.0)?)),
                &format!("{:.1}", cpu_per_query(postgres.process.cpu_since(before.1)?)),
            ]));
        }
        let (took, cpu) = self.count_rows().await?;
        rows.push(row([
            &"a year by day, counted from the rows",
            &365,
            &"",
            &format!("{:.0}", took.as_secs_f64() * 1e3),
            &"",
            &"",
            &format!("{:.0}", cpu.as_secs_f64() * 1e3),
        ]));
        table(&rows);
        println!("Targets: p95 at most 50 ms up to 400 points, 400 ms at 9,000.\n");
        Ok(())
    }

    /// Compares the rounds of a dashboard with the database's count.
    async fn verify(&self, dashboard: &Value) -> Result<()> {
        let count = "SELECT count(*) FROM rounds WHERE status = 'PLAYED' AND played_at >= $1::text::timestamptz";
        let from = str_at(dashboard, "/from")?;
        let rounds: i64 = self.database.query_one(count, &[&from]).await?.get(0);
        let points = dashboard["series"].as_array().context("a series")?;
        let of_points: i64 = points.iter().filter_map(|point| point["rounds"].as_i64()).sum();
        ensure!(
            dashboard.pointer("/totals/rounds") == Some(&json!(rounds)) && of_points == rounds,
            "{rounds} rounds, but {of_points} in the series of {}",
            dashboard["totals"]
        );
        Ok(())
    }

    /// Counts a year from the rows. Returns the time and the CPU time that it took.
    async fn count_rows(&self) -> Result<(Duration, Duration)> {
        let postgres = &self.environment.postgres;
        let from = self.hours_ago(YEAR_BY_DAY.1).await?;
        let from = format!("date_trunc('day', timestamptz '{from}')");
        let before = (now(), postgres.process.cpu_time()?);
        self.database.batch_execute(&COUNT_ROWS.replace("{from}", &from)).await?;
        Ok((now() - before.0, postgres.process.cpu_since(before.1)?))
    }

    async fn measure_plays(&self, options: &Options) -> Result<()> {
        let same = vec![YEAR_BY_DAY; OPEN_DASHBOARDS];
        let different: Vec<Range> = (0..)
            .take(OPEN_DASHBOARDS)
            .map(|days| ("", YEAR_BY_DAY.1 - 24 * days, "DAY"))
            .collect();
        let mut classes =
            [("none", vec![]), ("20 of one input", same), ("20 of 20 inputs", different)]
                .map(|(name, ranges)| Class { name, ranges, latencies: vec![], events: 0 });
        // The first answers open connections and fill caches.
        self.play(Duration::from_secs(3), options.plays_per_second).await?;
        for _ in 0..options.rounds {
            for class in &mut classes {
                let open = self.open(&class.ranges).await?;
                let duration = Duration::from_secs(options.play_seconds);
                class.latencies.extend(self.play(duration, options.plays_per_second).await?);
                class.events += open.events.load(Ordering::Relaxed);
            }
        }
        let idle = percentile(&classes[0].latencies, 0.99);
        let header =
            row([&"open dashboards", &"events", &"plays", &"p50 ms", &"p99 ms", &"p99 over none"]);
        let rows = classes.iter().map(|Class { name, latencies, events, .. }| {
            let p99 = percentile(latencies, 0.99);
            row([
                name,
                events,
                &latencies.len(),
                &format!("{:.1}", percentile(latencies, 0.5)),
                &format!("{p99:.1}"),
                &format!("{:.2}", p99 / idle),
            ])
        });
        table(&iter::once(header).chain(rows).collect::<Vec<_>>());
        println!("Target: p99 of a play at most 1.5 times that without dashboards.");
        Ok(())
    }

    /// Starts and plays rounds in an open loop.
    async fn play(&self, duration: Duration, per_second: u32) -> Result<Vec<Duration>> {
        let Environment { server, users, .. } = self.environment;
        let until = now() + duration;
        let play = async |connection: &mut _, number: usize| {
            play_round(connection, &users[number % users.len()]).await
        };
        let samples = in_open_loop(server.address, per_second, || now() >= until, play).await?;
        Ok(samples.iter().map(|sample| sample.latency).collect())
    }

    /// Opens dashboards, each over a socket of its own.
    async fn open(&self, ranges: &[Range]) -> Result<OpenDashboards> {
        let mut open = OpenDashboards::default();
        let query = format!(
            "subscription ($input: DashboardInput!) {{ dashboardChanged(input: $input) {{ {FIELDS} }} }}"
        );
        for range in ranges {
            let address = self.environment.server.address;
            let mut socket =
                Socket::open(address, "graphql-transport-ws", Some(&self.operator)).await?;
            let payload = json!({ "query": query, "variables": self.variables(*range).await? });
            let start = socket.start_message(1, &payload.to_string());
            let first = socket.execute(1, start).await?;
            ensure!(
                first.contains(r#""type":"next""#) && !first.contains(r#""errors""#),
                "{first}"
            );
            let events = open.events.clone();
            let count = move |_: &str| {
                events.fetch_add(1, Ordering::Relaxed);
            };
            open.tasks.spawn(socket.read_messages(count));
        }
        Ok(open)
    }

    /// The variables of a dashboard.
    async fn variables(&self, (_, hours, bucket): Range) -> Result<Value> {
        Ok(json!({ "input": { "from": self.hours_ago(hours).await?, "bucket": bucket } }))
    }

    /// The time so many hours ago, in RFC 3339.
    async fn hours_ago(&self, hours: i32) -> Result<String> {
        let sql = r#"SELECT to_char((now() - $1 * interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#;
        Ok(self.database.query_one(sql, &[&f64::from(hours)]).await?.get(0))
    }
}

/// Plays while the same dashboards are open.
struct Class {
    name: &'static str,
    ranges: Vec<Range>,
    latencies: Vec<Duration>,
    events: u64,
}

/// Dashboards that are followed until this is dropped.
#[derive(Default)]
struct OpenDashboards {
    tasks: JoinSet<String>,
    events: Arc<AtomicU64>,
}
