//! Benchmark of idle sockets: memory per socket, and CPU time of all.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::clock::{now, sleep};
use crate::environment::Environment;
use crate::report::{megabytes, millis, row, table};
use crate::server::Server;
use crate::transports::Socket;

/// How many sockets are opened concurrently.
const MAX_OPENING: usize = 50;
const SETTLE_DURATION: Duration = Duration::from_secs(5);

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many sockets.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// How many seconds they are idle.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A subscription that each socket starts. Without it they are only open.
    #[arg(long)]
    subscribe: Option<String>,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let environment =
        Environment::start("Idle sockets", binary, &[("STREAMS_PER_USER", "1000000")]).await?;
    let server = &environment.server;
    let idle_duration = Duration::from_secs(options.seconds);
    // Warm up caches.
    let warm_up: Vec<Socket> = open_sockets(server, MAX_OPENING, options.subscribe.as_deref())
        .await
        .context("the server takes no sockets of graphql-transport-ws")?;
    drop(warm_up);
    sleep(SETTLE_DURATION).await;
    let before = server.process.memory()?;
    let cpu_without_sockets = cpu_during(server, idle_duration).await?;

    let started_at = now();
    let sockets = open_sockets(server, options.sockets, options.subscribe.as_deref()).await?;
    let opened_in = now() - started_at;
    let open_tasks: Vec<_> =
        sockets.into_iter().map(|socket| tokio::spawn(socket.read_until_closed())).collect();
    sleep(SETTLE_DURATION).await;
    let with = server.process.memory()?;
    let cpu_with_sockets = cpu_during(server, idle_duration).await?;
    let still_open = open_tasks.iter().filter(|task| !task.is_finished()).count();
    let after = server.process.memory()?;

    let figure_row = |name: &str, value: String| row([&name, &value]);
    let format_cpu = |cpu_time: Duration| {
        let share = 100.0 * cpu_time.as_secs_f64() / idle_duration.as_secs_f64();
        format!("{:.0} ms, {share:.2} % of a core", millis(cpu_time))
    };
    let kilobytes_per_socket =
        megabytes(with.saturating_sub(before)) * 1e3 / f64::from(u32::try_from(options.sockets)?);
    let subscribed = options.subscribe.as_deref().unwrap_or("nothing");
    table(&[
        figure_row(
            "figure",
            format!("{} sockets, each subscribed to {subscribed}", options.sockets),
        ),
        figure_row("opened in", format!("{:.1} s", opened_in.as_secs_f64())),
        figure_row(
            "memory without them, and with",
            format!("{:.1} and {:.1} MB", megabytes(before), megabytes(with)),
        ),
        figure_row("memory a socket", format!("{kilobytes_per_socket:.1} kB (target: at most 12)")),
        figure_row("memory after they were idle", format!("{:.1} MB", megabytes(after))),
        figure_row(
            &format!("CPU in {} s without them", options.seconds),
            format_cpu(cpu_without_sockets),
        ),
        figure_row(
            &format!("CPU in {} s with them idle", options.seconds),
            format_cpu(cpu_with_sockets),
        ),
        figure_row("open at the end", still_open.to_string()),
    ]);
    for task in open_tasks.into_iter().filter(tokio::task::JoinHandle::is_finished).take(1) {
        println!("One that is not: {}", task.await?);
    }
    Ok(())
}

async fn cpu_during(server: &Server, duration: Duration) -> Result<Duration> {
    let before = server.process.cpu_time()?;
    sleep(duration).await;
    server.process.cpu_since(before)
}

async fn open_sockets(
    server: &Server,
    count: usize,
    subscribe: Option<&str>,
) -> Result<Vec<Socket>> {
    let address = server.address;
    let opening = (0..count).map(async |_| {
        let mut socket = Socket::open(address, "graphql-transport-ws", None).await?;
        if let Some(document) = subscribe {
            let message = socket.start_message(1, &json!({ "query": document }).to_string());
            let response = socket.execute(1, message).await?;
            ensure!(response.contains(r#""type":"next""#), "{response}");
        }
        anyhow::Ok(socket)
    });
    stream::iter(opening).buffer_unordered(MAX_OPENING).try_collect().await
}
