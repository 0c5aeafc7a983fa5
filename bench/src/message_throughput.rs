//! P8, throughput of messages: how fast they are sent to a fast gateway, and how soon a code is sent while many bonuses
//! wait.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio_postgres::Client;

use crate::clock::{now, sleep, within};
use crate::environment::{self, DATABASE};
use crate::gateway::Gateway;
use crate::http::Connection;
use crate::postgres::Postgres;
use crate::report::{median, millis, row, table};
use crate::server::{Server, secret_keys};
use crate::users::PASSWORD;

/// Bonuses that are sent before the first code is requested.
const WARM_UP_MESSAGES: usize = 2_000;
const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { challenge { id } } }
}";

/// Queues bonuses like a campaign, numbered from `{first}` to `{last}`.
const QUEUE_BONUSES: &str = "
INSERT INTO messages (id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries,
                      created_at, queued_at, due_at, expires_at)
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
           || '70008000' || lpad(to_hex(number), 12, '0'))::uuid,
         2, '+316' || (10000000 + number),
         'Switchboard: a bonus from spring! Coins added to your account: 500.', 'GSM_7', 1, 'spring',
         'QUEUED', 0, 0, now(), now(), clock_timestamp(), now() + interval '3 days'
  FROM generate_series({first}, {last}) AS number;
INSERT INTO message_transitions (id, kind, from_status, to_status, count, occurred_at)
  VALUES (gen_random_uuid(), 2, NULL, 'QUEUED', {last} - {first} + 1, now());
";

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many bonuses are handed over.
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// For how many seconds at most.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// How many bonuses wait while codes are sent.
    #[arg(long, default_value_t = 200_000)]
    bulk: usize,
    /// How many codes are sent, one after the other.
    #[arg(long, default_value_t = 20)]
    codes: u32,
    /// SMS_PARALLEL.
    #[arg(long, default_value_t = 64)]
    parallel: usize,
    /// Holds a transaction open all the while, as a backup does, so that PostgreSQL can clear nothing away.
    #[arg(long)]
    backup: bool,
}

/// Measures and prints the figures. Fails if a message is lost or sent twice, or a code does not arrive.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let postgres = environment::start_database("P8: messages leaving for a fast gateway").await?;
    let gateway = Gateway::start().await?;
    let (url, keys, parallel) =
        (postgres.url(DATABASE), secret_keys()?, options.parallel.to_string());
    let settings = [
        ("SECRET_KEYS", keys.as_str()),
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &gateway.url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("SMS_PARALLEL", &parallel),
    ];
    let start = async || Server::start(binary, &url, &settings).await;
    // The first start creates the tables.
    drop(start().await?);
    let database = postgres.connect(DATABASE).await?;

    let backup = postgres.connect(DATABASE).await?;
    if options.backup {
        backup.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await?;
    }

    queue_bonuses(&database, 0, options.messages).await?;
    let server = start().await?;
    let mut rows = vec![row([&"figure", &"found"])];
    rows.extend(measure_rate(&server, &postgres, &gateway, &options).await?);
    drop(server);
    let remaining = options.messages - gateway.received().times.len();

    queue_bonuses(&database, options.messages, options.bulk).await?;
    let server = start().await?;
    rows.extend(measure_codes(&server, &gateway, options.codes, options.bulk + remaining).await?);
    table(&rows);
    let received = gateway.received();
    ensure!(
        received.times.len() == received.first_by_phone.len(),
        "the gateway got messages twice"
    );
    Ok(())
}

/// Queues bonuses while no server runs.
async fn queue_bonuses(database: &Client, first: usize, count: usize) -> Result<()> {
    let bonuses = QUEUE_BONUSES
        .replace("{first}", &first.to_string())
        .replace("{last}", &(first + count - 1).to_string());
    database.batch_execute(&bonuses).await?;
    database.batch_execute("ANALYZE").await?;
    Ok(database.batch_execute("CHECKPOINT").await?)
}

async fn measure_rate(
    server: &Server,
    postgres: &Postgres,
    gateway: &Gateway,
    options: &Options,
) -> Result<Vec<Vec<String>>> {
    gateway.wait_until(|received| !received.times.is_empty()).await?;
    let before = (server.process.cpu_time()?, postgres.process.cpu_time()?);
    tokio::select! {
        result = gateway.wait_until(|received| received.times.len() == options.messages) => result?,
        () = sleep(Duration::from_secs(options.seconds)) => {}
    }
    let cpu_used = (server.process.cpu_since(before.0)?, postgres.process.cpu_since(before.1)?);
    let times = gateway.received().times.clone();
    let quarters =
        times.chunks(times.len().div_ceil(4)).map(|quarter| format!("{:.0}", rate(quarter)));
    let cpu_per_message = |cpu_time: Duration| cpu_time.as_secs_f64() * 1e6 / to_f64(times.len());
    Ok(vec![
        row([&"messages handed over", &times.len()]),
        row([&"a second", &format!("{:.0} (target: at least 3,000)", rate(&times))]),
        row([&"a second, by quarters", &quarters.collect::<Vec<_>>().join(", ")]),
        row([&"server CPU a message", &format!("{:.0} µs", cpu_per_message(cpu_used.0))]),
        row([&"PostgreSQL CPU a message", &format!("{:.0} µs", cpu_per_message(cpu_used.1))]),
    ])
}

async fn measure_codes(
    server: &Server,
    gateway: &Gateway,
    count: u32,
    waiting: usize,
) -> Result<Vec<Vec<String>>> {
    let before = gateway.received().times.len();
    gateway.wait_until(|received| received.times.len() >= before + WARM_UP_MESSAGES).await?;
    let mut connection = Connection::open(server.address).await?;
    let (mut after_request, mut after_response) = (Vec::new(), Vec::new());
    let (started_at, first) = (now(), gateway.received().times.len());
    for code in 0..count {
        let phone = format!("+3168{code:07}");
        let input = json!({ "phone": phone, "password": PASSWORD });
        let requested_at = now();
        connection.execute(SIGNUP, &json!({ "input": input }), None).await?;
        let responded_at = now();
        let is_received =
            gateway.wait_until(|received| received.first_by_phone.contains_key(&phone));
        within(Duration::from_secs(10), is_received).await??;
        let received_at = gateway.received().first_by_phone[&phone];
        after_request.push(millis(received_at - requested_at));
        after_response.push(millis(received_at.saturating_duration_since(responded_at)));
    }
    let (elapsed, sent) = (now() - started_at, gateway.received().times.len() - first);
    let waiting_at_the_end = (waiting + before).saturating_sub(gateway.received().times.len());
    ensure!(waiting_at_the_end > 0, "the last codes met an empty queue: --bulk must be more");
    let max = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let format_both =
        |values: Vec<f64>| format!("{:.0}, {:.0} ms", median(values.clone()), max(&values));
    Ok(vec![
        row([&"bonuses waiting when codes are sent", &waiting]),
        row([
            &"from sign-up to its code at the gateway, median and longest",
            &format!("{} (target: at most 1,000)", format_both(after_request)),
        ]),
        row([&"from its answer, median and longest", &format_both(after_response)]),
        row([
            &"messages a second meanwhile",
            &format!("{:.0}", to_f64(sent) / elapsed.as_secs_f64()),
        ]),
    ])
}

/// Messages per second, from the first to the last.
fn rate(times: &[Instant]) -> f64 {
    match times {
        [first, .., last] => to_f64(times.len() - 1) / (*last - *first).as_secs_f64(),
        _ => f64::NAN,
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
