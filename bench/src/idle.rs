//! Idle sockets: what each costs in memory, and all of them in CPU time.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::clock::{now, sleep};
use crate::product::Product;
use crate::report::{megabytes, millis, row, table};
use crate::stage::Stage;
use crate::transports::Socket;

/// How many are opened at once.
const AT_ONCE: usize = 50;
const SETTLES_IN: Duration = Duration::from_secs(5);

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How many.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// For how many seconds they are idle.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A subscription that each of them starts. Without it they are only open.
    #[arg(long)]
    subscribe: Option<String>,
}

/// Measures and prints.
///
/// # Errors
/// When the server refuses a socket.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let stage = Stage::set("Idle sockets", server, &[("STREAMS_PER_USER", "1000000")]).await?;
    let product = &stage.product;
    let idle = Duration::from_secs(options.seconds);
    // The first ones, so that what is made once is made.
    let first: Vec<Socket> = open(product, AT_ONCE, options.subscribe.as_deref())
        .await
        .context("the server takes no sockets of graphql-transport-ws")?;
    drop(first);
    sleep(SETTLES_IN).await;
    let before = product.process.memory()?;
    let without = cpu_during(product, idle).await?;

    let began = now();
    let sockets = open(product, options.sockets, options.subscribe.as_deref()).await?;
    let opened_in = now() - began;
    let staying: Vec<_> = sockets.into_iter().map(|socket| tokio::spawn(socket.stay())).collect();
    sleep(SETTLES_IN).await;
    let with = product.process.memory()?;
    let used = cpu_during(product, idle).await?;
    let open_still = staying.iter().filter(|task| !task.is_finished()).count();
    let after = product.process.memory()?;

    let named = |what: &str, value: String| row([&what, &value]);
    let cpu = |used: Duration| {
        let share = 100.0 * used.as_secs_f64() / idle.as_secs_f64();
        format!("{:.0} ms, {share:.2} % of a core", millis(used))
    };
    let each =
        megabytes(with.saturating_sub(before)) * 1e3 / f64::from(u32::try_from(options.sockets)?);
    let subscribed = options.subscribe.as_deref().unwrap_or("nothing");
    table(&[
        named("figure", format!("{} sockets, each subscribed to {subscribed}", options.sockets)),
        named("opened in", format!("{:.1} s", opened_in.as_secs_f64())),
        named(
            "memory without them, and with",
            format!("{:.1} and {:.1} MB", megabytes(before), megabytes(with)),
        ),
        named("memory a socket", format!("{each:.1} kB (target: at most 12)")),
        named("memory after they were idle", format!("{:.1} MB", megabytes(after))),
        named(&format!("CPU in {} s without them", options.seconds), cpu(without)),
        named(&format!("CPU in {} s with them idle", options.seconds), cpu(used)),
        named("open at the end", open_still.to_string()),
    ]);
    for task in staying.into_iter().filter(tokio::task::JoinHandle::is_finished).take(1) {
        println!("One that is not: {}", task.await?);
    }
    Ok(())
}

async fn cpu_during(product: &Product, duration: Duration) -> Result<Duration> {
    let before = product.process.cpu()?;
    sleep(duration).await;
    product.process.cpu_since(before)
}

async fn open(product: &Product, number: usize, subscribe: Option<&str>) -> Result<Vec<Socket>> {
    let address = product.address;
    let opening = (0..number).map(async |_| {
        let mut socket = Socket::open(address, "graphql-transport-ws", None).await?;
        if let Some(document) = subscribe {
            let message = socket.starting(1, &json!({ "query": document }).to_string());
            let answer = socket.answer(1, message).await?;
            ensure!(answer.contains(r#""type":"next""#), "{answer}");
        }
        anyhow::Ok(socket)
    });
    stream::iter(opening).buffer_unordered(AT_ONCE).try_collect().await
}
