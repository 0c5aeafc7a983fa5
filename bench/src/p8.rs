//! P8: how fast messages leave for a gateway that takes them at once, and how soon a code leaves while many
//! bonuses wait.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio_postgres::Client;

use crate::clock::{now, sleep, within};
use crate::gateway::Gateway;
use crate::http::Connection;
use crate::people::PASSWORD;
use crate::postgres::Postgres;
use crate::product::{Product, secret_keys};
use crate::report::{median, millis, row, table};
use crate::stage::{self, DATABASE};

/// How many bonuses leave before the first code is asked for.
const AT_FULL_SPEED: usize = 2_000;
const SIGNUP: &str = "mutation ($input: SignupInput!) {
  signup(input: $input) { ... on AuthTokens { challenge { id } } }
}";

/// As a campaign writes them, numbered from `{first}` to `{last}`.
const BONUSES: &str = "
INSERT INTO messages (id, kind, phone, body, characters, segments, campaign, status, attempts, retries,
                      created_at, queued_at, due_at, expires_at)
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
           || '70008000' || lpad(to_hex(number), 12, '0'))::uuid,
         2, '+316' || (10000000 + number),
         'Switchboard: a bonus from spring! Coins added to your account: 500.', 'GSM_7', 1, 'spring',
         'QUEUED', 0, 0, now(), now(), clock_timestamp(), now() + interval '3 days'
  FROM generate_series({first}, {last}) AS number;
INSERT INTO message_moves (id, kind, from_status, to_status, count, moved_at)
  VALUES (gen_random_uuid(), 2, NULL, 'QUEUED', {last} - {first} + 1, now());
";

/// How it is measured.
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

/// Measures and prints.
///
/// # Errors
/// When a message is lost or comes twice, or a code does not come.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let postgres = stage::database("P8: messages leaving for a fast gateway").await?;
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
    let start = async || Product::start(server, &url, &settings).await;
    // It makes the tables.
    drop(start().await?);
    let database = postgres.connect(DATABASE).await?;

    let backup = postgres.connect(DATABASE).await?;
    if options.backup {
        backup.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await?;
    }

    write(&database, 0, options.messages).await?;
    let product = start().await?;
    let mut rows = vec![row([&"figure", &"found"])];
    rows.extend(hand_over(&product, &postgres, &gateway, &options).await?);
    drop(product);
    let left = options.messages - gateway.log().moments.len();

    write(&database, options.messages, options.bulk).await?;
    let product = start().await?;
    rows.extend(codes(&product, &gateway, options.codes, options.bulk + left).await?);
    table(&rows);
    let log = gateway.log();
    ensure!(log.moments.len() == log.by_number.len(), "the gateway got messages twice");
    Ok(())
}

/// Writes so many messages, while no server runs.
async fn write(database: &Client, first: usize, count: usize) -> Result<()> {
    let bonuses = BONUSES
        .replace("{first}", &first.to_string())
        .replace("{last}", &(first + count - 1).to_string());
    database.batch_execute(&bonuses).await?;
    database.batch_execute("ANALYZE").await?;
    Ok(database.batch_execute("CHECKPOINT").await?)
}

async fn hand_over(
    product: &Product,
    postgres: &Postgres,
    gateway: &Gateway,
    options: &Options,
) -> Result<Vec<Vec<String>>> {
    gateway.has(|log| !log.moments.is_empty()).await?;
    let before = (product.process.cpu()?, postgres.process.cpu()?);
    tokio::select! {
        all = gateway.has(|log| log.moments.len() == options.messages) => all?,
        () = sleep(Duration::from_secs(options.seconds)) => {}
    }
    let used = (product.process.cpu_since(before.0)?, postgres.process.cpu_since(before.1)?);
    let moments = gateway.log().moments.clone();
    let quarters = moments.chunks(moments.len().div_ceil(4)).map(|it| format!("{:.0}", rate(it)));
    let cpu = |used: Duration| used.as_secs_f64() * 1e6 / number(moments.len());
    Ok(vec![
        row([&"messages handed over", &moments.len()]),
        row([&"a second", &format!("{:.0} (target: at least 3,000)", rate(&moments))]),
        row([&"a second, by quarters", &quarters.collect::<Vec<_>>().join(", ")]),
        row([&"server CPU a message", &format!("{:.0} µs", cpu(used.0))]),
        row([&"PostgreSQL CPU a message", &format!("{:.0} µs", cpu(used.1))]),
    ])
}

async fn codes(
    product: &Product,
    gateway: &Gateway,
    count: u32,
    waiting: usize,
) -> Result<Vec<Vec<String>>> {
    let before = gateway.log().moments.len();
    gateway.has(|log| log.moments.len() >= before + AT_FULL_SPEED).await?;
    let mut connection = Connection::open(product.address).await?;
    let (mut after_request, mut after_answer) = (Vec::new(), Vec::new());
    let (began, first) = (now(), gateway.log().moments.len());
    for code in 0..count {
        let phone = format!("+3168{code:07}");
        let input = json!({ "phone": phone, "password": PASSWORD });
        let asked = now();
        connection.ask(SIGNUP, &json!({ "input": input }), None).await?;
        let answered = now();
        within(Duration::from_secs(10), gateway.has(|log| log.by_number.contains_key(&phone)))
            .await??;
        let came = gateway.log().by_number[&phone];
        after_request.push(millis(came - asked));
        after_answer.push(millis(came.saturating_duration_since(answered)));
    }
    let (elapsed, sent) = (now() - began, gateway.log().moments.len() - first);
    let waiting_at_the_end = (waiting + before).saturating_sub(gateway.log().moments.len());
    ensure!(waiting_at_the_end > 0, "the last codes met an empty queue: --bulk must be more");
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let both = |values: Vec<f64>| format!("{:.0}, {:.0} ms", median(values.clone()), most(&values));
    Ok(vec![
        row([&"bonuses waiting when codes are sent", &waiting]),
        row([
            &"from sign-up to its code at the gateway, median and longest",
            &format!("{} (target: at most 1,000)", both(after_request)),
        ]),
        row([&"from its answer, median and longest", &both(after_answer)]),
        row([
            &"messages a second meanwhile",
            &format!("{:.0}", number(sent) / elapsed.as_secs_f64()),
        ]),
    ])
}

/// Messages a second, from the first to the last.
fn rate(moments: &[Instant]) -> f64 {
    match moments {
        [first, .., last] => number(moments.len() - 1) / (*last - *first).as_secs_f64(),
        _ => f64::NAN,
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}
