//! Across instances: an avatar changes on one, and somebody who watches it on another is told, over Redis.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::clock::{now, within};
use crate::gateway::Gateway;
use crate::http::Connection;
use crate::p6::version_of;
use crate::product::{Product, secret_keys};
use crate::redis::Redis;
use crate::report::{millis, percentile, row, table};
use crate::stage::{self, DATABASE};
use crate::star::Star;
use crate::transports::Socket;

/// Changes before those that count.
const WARM_UP: usize = 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How many changes, one at a time: a picture is shown, and taken away.
    #[arg(long, default_value_t = 200)]
    events: usize,
}

/// Measures and prints.
///
/// # Errors
/// When a change is not told, or not in its order.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let postgres = stage::database("Across instances: from the answer to the event").await?;
    let (gateway, redis) = (Gateway::start().await?, Redis::start().await?);
    let (url, keys) = (postgres.url(DATABASE), secret_keys()?);
    let settings = [
        ("SECRET_KEYS", keys.as_str()),
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &gateway.url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("REDIS_URL", &redis.url),
    ];
    let here = Product::start(server, &url, &settings).await?;
    let there = Product::start(server, &url, &settings).await?;
    let star = Star::settle(&here, &gateway, 1).await?;

    let mut socket =
        Socket::open(there.address, "graphql-transport-ws", Some(&star.viewers[0])).await?;
    let payload = json!({ "query": star.subscription("version avatar { id url }") }).to_string();
    let message = socket.starting(1, &payload);
    let first = socket.answer(1, message).await?;
    ensure!(version_of(&first) == Some(0), "{first}");
    let (heard, mut hearing) = unbounded_channel();
    tokio::spawn(socket.hear(move |text| {
        let _ = heard.send((version_of(text).unwrap_or_default(), now()));
    }));

    let mut connection = Connection::open(here.address).await?;
    let (mut after_request, mut after_answer) = (Vec::new(), Vec::new());
    for change in 0..WARM_UP + options.events {
        let began = now();
        let is_shown = change % 2 == 0;
        match is_shown {
            true => drop(star.show(&mut connection).await?),
            false => star.remove(&mut connection).await?,
        }
        let answered = now();
        let told = within(PATIENCE, next(&mut hearing, change as u64 + 1)).await??;
        if change >= WARM_UP {
            after_request.push(told - began);
            after_answer.push(told.saturating_duration_since(answered));
        }
    }
    let named = |what: &str, latencies: &[Duration], target: &str| {
        let worst = latencies.iter().max().copied().unwrap_or_default();
        row([
            &what,
            &format!("{:.2} ms", percentile(latencies, 0.5)),
            &format!("{:.2} ms", percentile(latencies, 0.99)),
            &format!("{:.2} ms", millis(worst)),
            &target,
        ])
    };
    table(&[
        row([&format!("{} changes", options.events), &"median", &"p99", &"longest", &"target"]),
        named("from the answer to the event", &after_answer, "at most 100 ms"),
        named("from the request to the event", &after_request, ""),
    ]);
    Ok(())
}

/// When the next change was told, which is this version.
async fn next(hearing: &mut UnboundedReceiver<(u64, Instant)>, version: u64) -> Result<Instant> {
    let (told, at) = hearing.recv().await.context("the socket was closed")?;
    ensure!(told == version, "told of version {told} instead of {version}");
    Ok(at)
}
