//! Leaderboards: reading one of a million places beside one of ten thousand, and bringing rounds to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::clock::{now, sleep};
use crate::http::{Connection, graphql};
use crate::load::{Shot, at_full_speed};
use crate::people::Person;
use crate::report::{median, percentile, row, table};
use crate::stage::{DATABASE, Stage};

const PLACES: &str = include_str!("boards.sql");

/// What is asked, and the fields of it.
const QUERIES: [(&str, &str); 4] = [
    ("the first 10", "entries { rank points profile { displayName } }"),
    ("the first 100", "entries { rank points profile { displayName } }"),
    ("one's own", "me { rank points }"),
    ("one's own and around", "me { rank points } around { rank points profile { displayName } }"),
];

/// How many are before somebody on a board, by counting them all.
const BEFORE: &str = "
SELECT count(*) FROM board_places AS place, board_places AS own
  WHERE own.user_id = (SELECT id FROM users WHERE nickname = $1) AND own.board = $2 AND place.board = $2
    AND (place.minus_points, place.reached_at, place.user_id)
      < (own.minus_points, own.reached_at, own.user_id)";

/// Rounds as they are when they were played a moment ago, by people at random.
const PLAYED: &str = "
INSERT INTO rounds (id, user_id, game, status, seed_hash, seed, client_seed, move, outcome, won, points, is_tallied,
    started_at, expires_at, played_at)
  SELECT gen_random_uuid(),
    ('01900000-0000-7000-8000-' || lpad(to_hex((1 + random() * 9999)::int), 12, '0'))::uuid,
    'COIN_FLIP', 'PLAYED', decode(repeat('ab', 32), 'hex'), decode(repeat('cd', 32), 'hex'), 'bench',
    '{\"coinFlip\":\"HEADS\"}', 0, TRUE, 20, FALSE, now(), now() + interval '5 minutes', now()
  FROM generate_series(1, $1::int)";

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How many players the large board has.
    #[arg(long, default_value_t = 1_000_000)]
    players: u64,
    /// For how many seconds each query is asked.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How many rounds are brought to the boards, and how often.
    #[arg(long, default_value_t = 1_000)]
    played: i32,
}

/// Measures and prints.
///
/// # Errors
/// When a rank is another than the database counts.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let stage = Stage::set("Leaderboards", server, &[]).await?;
    let (product, postgres) = (&stage.product, &stage.postgres);
    let database = postgres.connect(DATABASE).await?;
    database.batch_execute(&PLACES.replace("{players}", &options.players.to_string())).await?;
    // As autovacuum leaves it in time; it runs in no transaction, so not among the others.
    database.batch_execute("VACUUM ANALYZE").await?;
    database.batch_execute("CHECKPOINT").await?;
    ranks(&database, &mut Connection::open(product.address).await?, &stage.people).await?;

    let mut rows = vec![row([
        &"places",
        &"asked for",
        &"p50 ms",
        &"p99 ms",
        &"server CPU us",
        &"PostgreSQL CPU us",
    ])];
    for (what, fields) in QUERIES {
        for (game, board) in [("DICE", "ALL_TIME::DICE"), ("COIN_FLIP", "ALL_TIME::COIN_FLIP")] {
            let count = "SELECT count(*) FROM board_places WHERE board = $1";
            let places: i64 = database.query_one(count, &[&board]).await?.get(0);
            let first = if what.ends_with("100") { 100 } else { 10 };
            let query = format!("{{ leaderboard(game: {game}, first: {first}) {{ {fields} }} }}");
            let shots: Result<Arc<[Shot]>> = stage
                .people
                .iter()
                .map(|person| {
                    let request = graphql(&query, &Value::Null, Some(&person.token))?;
                    Ok(Shot { request, expected: None })
                })
                .collect();
            let shots = shots?;
            // One at a time: what it takes, not what many wait for.
            let asking = |duration| at_full_speed(product.address, &shots, 1, duration);
            asking(Duration::from_secs(1)).await?;
            let before = (product.process.cpu()?, postgres.process.cpu()?);
            let asked = asking(Duration::from_secs(options.seconds)).await?;
            let each = |used: Duration| used.as_secs_f64() * 1e6 / asked.count();
            rows.push(row([
                &places,
                &what,
                &format!("{:.2}", percentile(&asked.latencies, 0.5)),
                &format!("{:.2}", percentile(&asked.latencies, 0.99)),
                &format!("{:.0}", each(product.process.cpu_since(before.0)?)),
                &format!("{:.0}", each(postgres.process.cpu_since(before.1)?)),
            ]));
        }
    }
    table(&rows);

    let mut took = Vec::new();
    for _ in 0..10 {
        took.push(tallied(&database, options.played).await?.as_secs_f64());
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

/// Holds the rank that everybody is told against what the database counts.
async fn ranks(database: &Client, connection: &mut Connection, people: &[Person]) -> Result<()> {
    let query = "query ($game: GameKind!) { leaderboard(game: $game) { me { rank } } }";
    for person in people {
        for game in ["DICE", "COIN_FLIP"] {
            let board = format!("ALL_TIME::{game}");
            let before: i64 = database.query_one(BEFORE, &[&person.nickname, &board]).await?.get(0);
            let token = Some(&*person.token);
            let told = connection.ask(query, &json!({ "game": game }), token).await?;
            ensure!(told["leaderboard"]["me"]["rank"] == before + 1, "{before} before {told}");
        }
    }
    Ok(())
}

/// Writes rounds, and waits until the boards have them.
async fn tallied(database: &Client, rounds: i32) -> Result<Duration> {
    database.execute(PLAYED, &[&rounds]).await?;
    let from = now();
    let left = "SELECT EXISTS (SELECT FROM rounds WHERE NOT is_tallied)";
    while database.query_one(left, &[]).await?.get(0) {
        sleep(Duration::from_millis(5)).await;
    }
    Ok(now() - from)
}
