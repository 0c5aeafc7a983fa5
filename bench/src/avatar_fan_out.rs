//! Benchmark P6: fan-out of an avatar change to thousands of sockets, compared with a baseline server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::broadcast_baseline::BroadcastBaseline;
use crate::clock::{now, sleep, within};
use crate::environment::{self, DATABASE};
use crate::gateway::Gateway;
use crate::http::Connection;
use crate::process::Process;
use crate::report::{median, megabytes, millis, row, table};
use crate::server::{Server, secret_keys};
use crate::transports::Socket;
use crate::watched_user::WatchedUser;

/// How many sockets are opened concurrently.
const MAX_OPENING: usize = 50;
/// How long the fan-out of one change may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pause before memory is measured.
const SETTLE_DURATION: Duration = Duration::from_secs(3);

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many sockets watch.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// How many users own the sockets. All have the watched user among their contacts.
    #[arg(long, default_value_t = 100)]
    viewers: usize,
    /// How often a picture is uploaded and removed, one change at a time.
    #[arg(long, default_value_t = 20)]
    events: usize,
    /// How many rounds: each measures both servers in turn, in new processes.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The subscribed fields, besides `version`.
    #[arg(long, default_value = "userId avatar { id url }")]
    fields: String,
}

/// A change of the avatar.
#[derive(Clone, Copy)]
enum Change {
    Uploaded,
    Removed,
}

/// Changes the avatar on one of the two servers.
struct Publisher<'a> {
    process: Process,
    address: SocketAddr,
    connection: Connection,
    /// None for the baseline server, which sends what is posted to it.
    watched_user: Option<&'a WatchedUser>,
    /// How often the avatar has changed.
    version: u64,
}

/// An event received by a socket: its version, time and size in bytes.
type SocketEvent = (u64, Instant, usize);

/// The figures of one server process.
#[derive(Default)]
struct Round {
    subscribed_in: Duration,
    /// Memory in bytes: without sockets, with them, and after the changes.
    memory: [u64; 3],
    /// CPU time of the fan-out, without that of the changes themselves.
    cpu_time: Duration,
    /// By `Change`.
    latencies: [Latencies; 2],
}

/// The latencies of a change in milliseconds, one per repetition.
#[derive(Default)]
struct Latencies {
    /// Until the response, without subscribers.
    without_subscribers: Vec<f64>,
    /// Until half of the sockets received the event.
    half: Vec<f64>,
    /// Until all sockets received it.
    last: Vec<f64>,
    bytes: usize,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let postgres = environment::start_database("P6: telling those who watch an avatar").await?;
    let gateway = Gateway::start().await?;
    let (url, keys) = (postgres.url(DATABASE), secret_keys()?);
    let settings = [
        ("SECRET_KEYS", keys.as_str()),
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &gateway.url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("STREAMS_PER_USER", "1000000"),
    ];
    let start = async || Server::start(binary, &url, &settings).await;
    let watched_user = WatchedUser::create(&start().await?, &gateway, options.viewers).await?;
    let (mut baseline_rounds, mut product_rounds) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let baseline = BroadcastBaseline::start().await?;
        baseline_rounds.push(measure(baseline.address, baseline.process, None, &options).await?);
        drop(baseline);
        let server = start().await?;
        let round = measure(server.address, server.process, Some(&watched_user), &options).await?;
        product_rounds.push(round);
    }
    print(&options, &baseline_rounds, &product_rounds);
    Ok(())
}

async fn measure(
    address: SocketAddr,
    process: Process,
    watched_user: Option<&WatchedUser>,
    options: &Options,
) -> Result<Round> {
    let mut round = Round::default();
    let connection = Connection::open(address).await?;
    let mut publisher = Publisher { process, address, connection, watched_user, version: 0 };
    // Warm up caches.
    change_without_subscribers(&mut publisher, &mut Round::default(), 5).await?;
    let change_cpu_time =
        change_without_subscribers(&mut publisher, &mut round, options.events).await?;

    round.memory[0] = process.memory()?;
    let (events_sender, mut events) = unbounded_channel();
    let started_at = now();
    let sockets = open_sockets(&publisher, options, &events_sender).await?;
    round.subscribed_in = now() - started_at;
    sleep(SETTLE_DURATION).await;
    round.memory[1] = process.memory()?;

    let before = process.cpu_time()?;
    for _ in 0..options.events {
        for change in [Change::Uploaded, Change::Removed] {
            let started_at = now();
            let version = publisher.version + 1;
            let received = within(TIMEOUT, receive_all(&mut events, version, options.sockets));
            let (changed, received) = tokio::join!(publisher.apply(change), received);
            changed?;
            let (received_times, bytes) = received??;
            let latencies = &mut round.latencies[change as usize];
            latencies.half.push(millis(received_times[received_times.len() / 2] - started_at));
            latencies.last.push(millis(received_times[received_times.len() - 1] - started_at));
            latencies.bytes = bytes;
        }
    }
    round.cpu_time = process.cpu_since(before)?.saturating_sub(change_cpu_time);
    round.memory[2] = process.memory()?;
    ensure!(!sockets.iter().any(JoinHandle::is_finished), "a socket was closed");
    sockets.iter().for_each(JoinHandle::abort);
    Ok(round)
}

/// Changes the avatar while nobody is subscribed. Returns the CPU time used.
async fn change_without_subscribers(
    publisher: &mut Publisher<'_>,
    round: &mut Round,
    events: usize,
) -> Result<Duration> {
    let before = publisher.process.cpu_time()?;
    for _ in 0..events {
        for change in [Change::Uploaded, Change::Removed] {
            let started_at = now();
            publisher.apply(change).await?;
            let latency = millis(now() - started_at);
            round.latencies[change as usize].without_subscribers.push(latency);
        }
    }
    publisher.process.cpu_since(before)
}

/// Opens the sockets, subscribes, and waits until each has received the first event.
async fn open_sockets(
    publisher: &Publisher<'_>,
    options: &Options,
    events_sender: &UnboundedSender<SocketEvent>,
) -> Result<Vec<JoinHandle<String>>> {
    let fields = format!("version {}", options.fields);
    let document =
        publisher.watched_user.map(|user| user.subscription(&fields)).unwrap_or_default();
    let payload = json!({ "query": document }).to_string();
    let opening = (0..options.sockets).map(async |number| {
        let token = publisher
            .watched_user
            .map(|user| user.viewer_tokens[number % user.viewer_tokens.len()].as_str());
        let mut socket = Socket::open(publisher.address, "graphql-transport-ws", token).await?;
        let message = socket.start_message(1, &payload);
        let response = socket.execute(1, message).await?;
        ensure!(parse_version(&response) == Some(publisher.version), "{response}");
        let events_sender = events_sender.clone();
        let send_event = move |text: &str| {
            let _ =
                events_sender.send((parse_version(text).unwrap_or_default(), now(), text.len()));
        };
        Ok(tokio::spawn(socket.read_messages(send_event)))
    });
    stream::iter(opening).buffer_unordered(MAX_OPENING).try_collect().await
}

/// Waits until all sockets have received this version. Returns the times, and the size of the last event in bytes.
async fn receive_all(
    events: &mut UnboundedReceiver<SocketEvent>,
    version: u64,
    sockets: usize,
) -> Result<(Vec<Instant>, usize)> {
    let (mut received_times, mut length) = (Vec::with_capacity(sockets), 0);
    while received_times.len() < sockets {
        let (received, received_at, bytes) =
            events.recv().await.context("all sockets were closed")?;
        ensure!(received == version, "an event of version {received} instead of {version}");
        received_times.push(received_at);
        length = bytes;
    }
    Ok((received_times, length))
}

/// Extracts the version from an event.
pub fn parse_version(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once(r#""version":"#)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Publisher<'_> {
    /// Changes the avatar, and waits for the response.
    async fn apply(&mut self, change: Change) -> Result<()> {
        self.version += 1;
        let Some(watched_user) = self.watched_user else {
            return self.post_to_baseline(change).await;
        };
        match change {
            Change::Uploaded => {
                let version = watched_user.upload_avatar(&mut self.connection).await?;
                ensure!(self.version == 1 || self.version == version, "another change happened");
                self.version = version;
                Ok(())
            }
            Change::Removed => watched_user.remove_avatar(&mut self.connection).await,
        }
    }

    /// Posts a response of the same form and about the same length as Switchboard's.
    async fn post_to_baseline(&mut self, change: Change) -> Result<()> {
        let avatar = match change {
            Change::Removed => json!(null),
            Change::Uploaded => json!({ "id": "i".repeat(36), "url": "u".repeat(90) }),
        };
        let change = json!({ "version": self.version, "userId": "i".repeat(30), "avatar": avatar });
        let response = json!({ "data": { "avatarChanged": change } });
        let request = Request::post("/graphql").body(Full::from(response.to_string()))?;
        self.connection.send(request).await?;
        Ok(())
    }
}

fn print(options: &Options, baseline_rounds: &[Round], product_rounds: &[Round]) {
    println!("{} sockets of {} people\n", options.sockets, options.viewers);
    let servers = [("floor", baseline_rounds), ("product", product_rounds)];
    let mut rows = vec![row([
        &"server",
        &"subscribed in s",
        &"memory MB without sockets, with, and after the changes",
        &"kB a socket, with, and after (target: at most 12)",
        &"CPU µs a message",
    ])];
    rows.extend(servers.map(|(name, rounds)| cost_row(name, rounds, options)));
    table(&rows);
    let mut rows = vec![row([
        &"server",
        &"change",
        &"bytes",
        &"answered when nobody listens, ms",
        &"half have received it, ms",
        &"the last one has received it, ms, median (worst)",
        &"the same without the change itself, ms",
    ])];
    let mut ratios = Vec::new();
    for (change, change_name) in [(Change::Removed, "removed"), (Change::Uploaded, "shown")] {
        let [(baseline_row, baseline_last), (product_row, product_last)] =
            servers.map(|(name, rounds)| latency_row(name, rounds, change, change_name));
        rows.extend([baseline_row, product_row]);
        ratios.push((
            change_name,
            product_last.0 / baseline_last.0,
            product_last.1 / baseline_last.1,
        ));
    }
    table(&rows);
    for (change_name, with, without) in ratios {
        println!(
            "The last one told that it is {change_name}, a multiple of the floor's: {with:.2}, and {without:.2} \
             without the change itself (target: at most 2)"
        );
    }
}

fn cost_row(name: &str, rounds: &[Round], options: &Options) -> Vec<String> {
    let median_of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let sockets = to_f64(options.sockets);
    let messages = sockets * 2.0 * to_f64(options.events);
    let [before, with, after] =
        [0, 1, 2].map(|index: usize| median_of(&|round| megabytes(round.memory[index])));
    let kilobytes_per_socket = |memory: f64| (memory - before) * 1e3 / sockets;
    row([
        &name,
        &format!("{:.2}", median_of(&|round| round.subscribed_in.as_secs_f64())),
        &format!("{before:.1}, {with:.1}, {after:.1}"),
        &format!("{:.1}, {:.1}", kilobytes_per_socket(with), kilobytes_per_socket(after)),
        &format!("{:.1}", median_of(&|round| round.cpu_time.as_secs_f64() * 1e6 / messages)),
    ])
}

/// Builds a row of latencies. Also returns that of the last socket, with and without the change itself.
fn latency_row(
    name: &str,
    rounds: &[Round],
    change: Change,
    change_name: &str,
) -> (Vec<String>, (f64, f64)) {
    let latencies = || rounds.iter().map(|round| &round.latencies[change as usize]);
    let all = |field: fn(&Latencies) -> &Vec<f64>| latencies().flat_map(field).copied().collect();
    let without_subscribers = median(all(|latencies| &latencies.without_subscribers));
    let last: Vec<f64> = all(|latencies| &latencies.last);
    let worst = last.iter().copied().fold(0.0, f64::max);
    let last = median(last);
    let cells = row([
        &name,
        &change_name,
        &latencies().map(|latencies| latencies.bytes).max().unwrap_or_default(),
        &format!("{without_subscribers:.1}"),
        &format!("{:.1}", median(all(|latencies| &latencies.half))),
        &format!("{last:.1} ({worst:.1})"),
        &format!("{:.1}", last - without_subscribers),
    ]);
    (cells, (last, last - without_subscribers))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
