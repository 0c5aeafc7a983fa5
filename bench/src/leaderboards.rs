//! Benchmark of leaderboards: reads of a large and a small one, and the counting of rounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::clock::{now, sleep};
use crate::environment::{DATABASE, Environment};
use crate::http::{Connection, graphql};
use crate::load::{LoadRequest, at_full_speed};
use crate::report::{median, percentile, row, table};
use crate::users::TestUser;

const INSERT_ROWS: &str = include_str!("leaderboards.sql");

/// The measured queries: a name and the selected fields.
const QUERIES: [(&str, &str); 4] = [
    ("the first 10", "entries { rank points profile { displayName } }"),
    ("the first 100", "entries { rank points profile { displayName } }"),
    ("one's own", "me { rank points }"),
    ("one's own and around", "me { rank points } around { rank points profile { displayName } }"),
];

/// How many rows are ahead of a user, by counting them all.
const COUNT_AHEAD: &str = "
SELECT count(*) FROM leaderboard_rows AS ahead, leaderboard_rows AS own
  WHERE own.user_id = (SELECT id FROM users WHERE nickname = $1) AND own.leaderboard_key = $2 AND ahead.leaderboard_key = $2
    AND (ahead.negated_points, ahead.reached_at, ahead.user_id)
      < (own.negated_points, own.reached_at, own.user_id)";

/// Inserts just played rounds of random users.
const INSERT_PLAYED: &str = "
INSERT INTO rounds (id, user_id, game, status, seed_hash, seed, client_seed, move, outcome, won, points, is_counted,
    started_at, expires_at, played_at)
  SELECT gen_random_uuid(),
    ('01900000-0000-7000-8000-' || lpad(to_hex((1 + random() * 9999)::int), 12, '0'))::uuid,
    'COIN_FLIP', 'PLAYED', decode(repeat('ab', 32), 'hex'), decode(repeat('cd', 32), 'hex'), 'bench',
    '{\"coinFlip\":\"HEADS\"}', 0, TRUE, 20, FALSE, now(), now() + interval '5 minutes', now()
  FROM generate_series(1, $1::int)";

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many players the large leaderboard has.
    #[arg(long, default_value_t = 1_000_000)]
    players: u64,
    /// Seconds per query.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How many new rounds are counted in each of ten measurements.
    #[arg(long, default_value_t = 1_000)]
    played: i32,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let environment = Environment::start("Leaderboards", binary, &[]).await?;
    let (server, postgres) = (&environment.server, &environment.postgres);
    let database = postgres.connect(DATABASE).await?;
    database.batch_execute(&INSERT_ROWS.replace("{players}", &options.players.to_string())).await?;
    // As autovacuum would do in time. VACUUM cannot run inside a transaction, so it is a call of its own.
    database.batch_execute("VACUUM ANALYZE").await?;
    database.batch_execute("CHECKPOINT").await?;
    verify_ranks(&database, &mut Connection::open(server.address).await?, &environment.users)
        .await?;

    let mut rows = vec![row([
        &"places",
        &"asked for",
        &"p50 ms",
        &"p99 ms",
        &"server CPU us",
        &"PostgreSQL CPU us",
    ])];
    for (name, fields) in QUERIES {
        for (game, key) in [("DICE", "ALL_TIME::DICE"), ("COIN_FLIP", "ALL_TIME::COIN_FLIP")] {
            let count = "SELECT count(*) FROM leaderboard_rows WHERE leaderboard_key = $1";
            let row_count: i64 = database.query_one(count, &[&key]).await?.get(0);
            let first = if name.ends_with("100") { 100 } else { 10 };
            let query = format!("{{ leaderboard(game: {game}, first: {first}) {{ {fields} }} }}");
            let requests: Result<Arc<[LoadRequest]>> = environment
                .users
                .iter()
                .map(|user| {
                    let request = graphql(&query, &Value::Null, Some(&user.token))?;
                    Ok(LoadRequest { request, expected: None })
                })
                .collect();
            let requests = requests?;
            // One at a time: measures the cost of a query without queueing.
            let run_queries = |duration| at_full_speed(server.address, &requests, 1, duration);
            run_queries(Duration::from_secs(1)).await?;
            let before = (server.process.cpu_time()?, postgres.process.cpu_time()?);
            let result = run_queries(Duration::from_secs(options.seconds)).await?;
            let cpu_per_query = |cpu_time: Duration| cpu_time.as_secs_f64() * 1e6 / result.count();
            rows.push(row([
                &row_count,
                &name,
                &format!("{:.2}", percentile(&result.latencies, 0.5)),
                &format!("{:.2}", percentile(&result.latencies, 0.99)),
                &format!("{:.0}", cpu_per_query(server.process.cpu_since(before.0)?)),
                &format!("{:.0}", cpu_per_query(postgres.process.cpu_since(before.1)?)),
            ]));
        }
    }
    table(&rows);

    let mut took = Vec::new();
    for _ in 0..10 {
        took.push(time_counting(&database, options.played).await?.as_secs_f64());
    }
    println!(
        "From {} rounds that are there at once to all of them on the boards, of which one has {} places: {:.2} s (median \
         of 10, between {:.2} and {:.2}; the job looks each second, and rests half of one)\n",
        options.played,
        options.players,
        median(took.clone()),
        took.iter().copied().fold(f64::INFINITY, f64::min),
        took.iter().copied().fold(0.0, f64::max),
    );
    Ok(())
}

/// Compares the rank of every user with the database's count.
async fn verify_ranks(
    database: &Client,
    connection: &mut Connection,
    users: &[TestUser],
) -> Result<()> {
    let query = "query ($game: GameKind!) { leaderboard(game: $game) { me { rank } } }";
    for user in users {
        for game in ["DICE", "COIN_FLIP"] {
            let key = format!("ALL_TIME::{game}");
            let ahead: i64 = database.query_one(COUNT_AHEAD, &[&user.nickname, &key]).await?.get(0);
            let token = Some(&*user.token);
            let response = connection.execute(query, &json!({ "game": game }), token).await?;
            ensure!(
                response["leaderboard"]["me"]["rank"] == ahead + 1,
                "{ahead} ahead: {response}"
            );
        }
    }
    Ok(())
}

/// Inserts rounds, and measures the time until all are counted.
async fn time_counting(database: &Client, rounds: i32) -> Result<Duration> {
    database.execute(INSERT_PLAYED, &[&rounds]).await?;
    let from = now();
    let has_uncounted = "SELECT EXISTS (SELECT FROM rounds WHERE NOT is_counted)";
    while database.query_one(has_uncounted, &[]).await?.get(0) {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(now() - from)
}
