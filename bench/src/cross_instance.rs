//! Benchmark of events across instances: an avatar changes on one, and a viewer on another gets the event over Redis.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::avatar_fan_out::parse_version;
use crate::clock::{now, within};
use crate::environment::{self, DATABASE};
use crate::gateway::Gateway;
use crate::http::Connection;
use crate::redis::Redis;
use crate::report::{millis, percentile, row, table};
use crate::server::{Server, secret_keys};
use crate::transports::Socket;
use crate::watched_user::WatchedUser;

/// Changes before the measured ones.
const WARM_UP_CHANGES: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many changes, one at a time: a picture is uploaded or removed.
    #[arg(long, default_value_t = 200)]
    events: usize,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let postgres =
        environment::start_database("Across instances: from the answer to the event").await?;
    let (gateway, redis) = (Gateway::start().await?, Redis::start().await?);
    let (url, keys) = (postgres.url(DATABASE), secret_keys()?);
    let settings = [
        ("SECRET_KEYS", keys.as_str()),
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &gateway.url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("REDIS_URL", &redis.url),
    ];
    let changed_server = Server::start(binary, &url, &settings).await?;
    let watched_server = Server::start(binary, &url, &settings).await?;
    let watched_user = WatchedUser::create(&changed_server, &gateway, 1).await?;

    let mut socket = Socket::open(
        watched_server.address,
        "graphql-transport-ws",
        Some(&watched_user.viewer_tokens[0]),
    )
    .await?;
    let payload =
        json!({ "query": watched_user.subscription("version avatar { id url }") }).to_string();
    let message = socket.start_message(1, &payload);
    let first = socket.execute(1, message).await?;
    ensure!(parse_version(&first) == Some(0), "{first}");
    let (event_sender, mut events) = unbounded_channel();
    tokio::spawn(socket.read_messages(move |text| {
        let _ = event_sender.send((parse_version(text).unwrap_or_default(), now()));
    }));

    let mut connection = Connection::open(changed_server.address).await?;
    let (mut after_request, mut after_response) = (Vec::new(), Vec::new());
    for change in 0..WARM_UP_CHANGES + options.events {
        let started_at = now();
        match change % 2 == 0 {
            true => drop(watched_user.upload_avatar(&mut connection).await?),
            false => watched_user.remove_avatar(&mut connection).await?,
        }
        let responded_at = now();
        let received_at = within(TIMEOUT, next_event(&mut events, change as u64 + 1)).await??;
        if change >= WARM_UP_CHANGES {
            after_request.push(received_at - started_at);
            after_response.push(received_at.saturating_duration_since(responded_at));
        }
    }
    let latency_row = |name: &str, latencies: &[Duration], target: &str| {
        let worst = latencies.iter().max().copied().unwrap_or_default();
        row([
            &name,
            &format!("{:.2} ms", percentile(latencies, 0.5)),
            &format!("{:.2} ms", percentile(latencies, 0.99)),
            &format!("{:.2} ms", millis(worst)),
            &target,
        ])
    };
    table(&[
        row([&format!("{} changes", options.events), &"median", &"p99", &"longest", &"target"]),
        latency_row("from the answer to the event", &after_response, "at most 100 ms"),
        latency_row("from the request to the event", &after_request, ""),
    ]);
    Ok(())
}

/// Waits for the next event, which must have this version, and returns its time.
async fn next_event(
    events: &mut UnboundedReceiver<(u64, Instant)>,
    expected: u64,
) -> Result<Instant> {
    let (version, received_at) = events.recv().await.context("the socket was closed")?;
    ensure!(version == expected, "an event of version {version} instead of {expected}");
    Ok(received_at)
}
