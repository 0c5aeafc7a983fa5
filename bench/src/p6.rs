//! P6: one avatar changes and thousands of sockets are told, beside the floor, by turns.

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

use crate::clock::{now, sleep, within};
use crate::gateway::Gateway;
use crate::http::Connection;
use crate::process::Process;
use crate::product::{Product, secret_keys};
use crate::relay::Relay;
use crate::report::{median, megabytes, millis, row, table};
use crate::stage::{self, DATABASE};
use crate::star::Star;
use crate::transports::Socket;

/// How many sockets are opened at once.
const AT_ONCE: usize = 50;
/// What telling everybody may take.
const PATIENCE: Duration = Duration::from_secs(30);
const SETTLES_IN: Duration = Duration::from_secs(3);

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How many sockets watch.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// How many people they belong to, by turns. All have the one who is watched among their contacts.
    #[arg(long, default_value_t = 100)]
    viewers: usize,
    /// How often a picture is shown and taken away, one change at a time.
    #[arg(long, default_value_t = 20)]
    events: usize,
    /// How often each server is measured, by turns, in a process of its own.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What is asked of each change, which begins with its version.
    #[arg(long, default_value = "userId avatar { id url }")]
    fields: String,
}

/// What happens to the avatar.
#[derive(Clone, Copy)]
enum Change {
    Shown,
    Removed,
}

/// A server whose sockets are told of changes.
struct Teller<'a> {
    process: Process,
    address: SocketAddr,
    connection: Connection,
    /// None: the floor, which tells what it is sent.
    star: Option<&'a Star>,
    /// How often the avatar has changed.
    version: u64,
}

/// The version that a socket was told, when, and in how many bytes.
type Heard = (u64, Instant, usize);

/// What one process of a server showed.
#[derive(Default)]
struct Round {
    subscribed_in: Duration,
    /// Bytes without sockets, with them, and after the changes.
    memory: [u64; 3],
    used: Duration,
    /// By what happened.
    figures: [Figures; 2],
}

/// What a change took, in milliseconds, each time.
#[derive(Default)]
struct Figures {
    /// When nobody listens, until it is answered.
    alone: Vec<f64>,
    /// Until half of the sockets were told, and all.
    half: Vec<f64>,
    last: Vec<f64>,
    bytes: usize,
}

/// Measures and prints.
///
/// # Errors
/// When a socket is told something else, or nothing.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let postgres = stage::database("P6: telling those who watch an avatar").await?;
    let gateway = Gateway::start().await?;
    let (url, keys) = (postgres.url(DATABASE), secret_keys()?);
    let settings = [
        ("SECRET_KEYS", keys.as_str()),
        ("SMS_GATEWAY", "http"),
        ("SMS_HTTP_URL", &gateway.url),
        ("SMS_HTTP_ID_PATH", "id"),
        ("STREAMS_PER_USER", "1000000"),
    ];
    let start = async || Product::start(server, &url, &settings).await;
    let star = Star::settle(&start().await?, &gateway, options.viewers).await?;
    let (mut floors, mut products) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let floor = Relay::start().await?;
        floors.push(measure(floor.address, floor.process, None, &options).await?);
        drop(floor);
        let product = start().await?;
        products.push(measure(product.address, product.process, Some(&star), &options).await?);
    }
    print(&options, &floors, &products);
    Ok(())
}

async fn measure(
    address: SocketAddr,
    process: Process,
    star: Option<&Star>,
    options: &Options,
) -> Result<Round> {
    let mut round = Round::default();
    let connection = Connection::open(address).await?;
    let mut teller = Teller { process, address, connection, star, version: 0 };
    // The first changes make what is made once.
    alone(&mut teller, &mut Round::default(), 5).await?;
    let without = alone(&mut teller, &mut round, options.events).await?;

    round.memory[0] = process.memory()?;
    let (heard, mut hearing) = unbounded_channel();
    let began = now();
    let sockets = audience(&teller, options, &heard).await?;
    round.subscribed_in = now() - began;
    sleep(SETTLES_IN).await;
    round.memory[1] = process.memory()?;

    let before = process.cpu()?;
    for _ in 0..options.events {
        for change in [Change::Shown, Change::Removed] {
            let began = now();
            let version = teller.version + 1;
            let told = within(PATIENCE, all(&mut hearing, version, options.sockets));
            let (changed, told) = tokio::join!(teller.make(change), told);
            changed?;
            let (moments, bytes) = told??;
            let figures = &mut round.figures[change as usize];
            figures.half.push(millis(moments[moments.len() / 2] - began));
            figures.last.push(millis(moments[moments.len() - 1] - began));
            figures.bytes = bytes;
        }
    }
    round.used = process.cpu_since(before)?.saturating_sub(without);
    round.memory[2] = process.memory()?;
    ensure!(!sockets.iter().any(JoinHandle::is_finished), "a socket was closed");
    sockets.iter().for_each(JoinHandle::abort);
    Ok(round)
}

/// Changes while nobody listens, and the CPU time of it.
async fn alone(teller: &mut Teller<'_>, round: &mut Round, events: usize) -> Result<Duration> {
    let before = teller.process.cpu()?;
    for _ in 0..events {
        for change in [Change::Shown, Change::Removed] {
            let began = now();
            teller.make(change).await?;
            round.figures[change as usize].alone.push(millis(now() - began));
        }
    }
    teller.process.cpu_since(before)
}

/// Opens the sockets, each of which has heard of the avatar as it is when this ends.
async fn audience(
    teller: &Teller<'_>,
    options: &Options,
    heard: &UnboundedSender<Heard>,
) -> Result<Vec<JoinHandle<String>>> {
    let fields = format!("version {}", options.fields);
    let document = teller.star.map(|star| star.subscription(&fields)).unwrap_or_default();
    let payload = json!({ "query": document }).to_string();
    let opening = (0..options.sockets).map(async |number| {
        let token = teller.star.map(|star| star.viewers[number % star.viewers.len()].as_str());
        let mut socket = Socket::open(teller.address, "graphql-transport-ws", token).await?;
        let message = socket.starting(1, &payload);
        let answer = socket.answer(1, message).await?;
        ensure!(version_of(&answer) == Some(teller.version), "{answer}");
        let heard = heard.clone();
        let said = move |text: &str| {
            let _ = heard.send((version_of(text).unwrap_or_default(), now(), text.len()));
        };
        Ok(tokio::spawn(socket.hear(said)))
    });
    stream::iter(opening).buffer_unordered(AT_ONCE).try_collect().await
}

/// The moments in which so many sockets heard of a version, and in how many bytes the last one did.
async fn all(
    hearing: &mut UnboundedReceiver<Heard>,
    version: u64,
    sockets: usize,
) -> Result<(Vec<Instant>, usize)> {
    let (mut moments, mut length) = (Vec::with_capacity(sockets), 0);
    while moments.len() < sockets {
        let (told, at, bytes) = hearing.recv().await.context("nobody listens")?;
        ensure!(told == version, "told of version {told} instead of {version}");
        moments.push(at);
        length = bytes;
    }
    Ok((moments, length))
}

/// The version in what a socket was told.
pub fn version_of(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once(r#""version":"#)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Teller<'_> {
    /// Changes the avatar, and waits for the answer.
    async fn make(&mut self, change: Change) -> Result<()> {
        self.version += 1;
        let Some(star) = self.star else { return self.tell(change).await };
        match change {
            Change::Shown => {
                let version = star.show(&mut self.connection).await?;
                ensure!(self.version == 1 || self.version == version, "not the only one");
                self.version = version;
                Ok(())
            }
            Change::Removed => star.remove(&mut self.connection).await,
        }
    }

    /// Gives the floor an answer like the product's, of about the same length.
    async fn tell(&mut self, change: Change) -> Result<()> {
        let avatar = match change {
            Change::Removed => json!(null),
            Change::Shown => json!({ "id": "i".repeat(36), "url": "u".repeat(90) }),
        };
        let change = json!({ "version": self.version, "userId": "i".repeat(30), "avatar": avatar });
        let answer = json!({ "data": { "avatarChanged": change } });
        let request = Request::post("/graphql").body(Full::from(answer.to_string()))?;
        self.connection.send(request).await?;
        Ok(())
    }
}

fn print(options: &Options, floors: &[Round], products: &[Round]) {
    println!("{} sockets of {} people\n", options.sockets, options.viewers);
    let servers = [("floor", floors), ("product", products)];
    let mut rows = vec![row([
        &"server",
        &"subscribed in s",
        &"memory MB without sockets, with, and after the changes",
        &"kB a socket, with, and after (target: at most 12)",
        &"CPU µs a message",
    ])];
    rows.extend(servers.map(|(name, rounds)| costs(name, rounds, options)));
    table(&rows);
    let mut rows = vec![row([
        &"server",
        &"change",
        &"bytes",
        &"answered when nobody listens, ms",
        &"half are told, ms",
        &"the last one is told, ms, median (worst)",
        &"the same without the change itself, ms",
    ])];
    let mut ratios = Vec::new();
    for (change, what) in [(Change::Removed, "removed"), (Change::Shown, "shown")] {
        let [(floor, last_of_floor), (product, last)] =
            servers.map(|(name, rounds)| times(name, rounds, change, what));
        rows.extend([floor, product]);
        ratios.push((what, last.0 / last_of_floor.0, last.1 / last_of_floor.1));
    }
    table(&rows);
    for (what, with, without) in ratios {
        println!(
            "The last one told that it is {what}, a multiple of the floor's: {with:.2}, and {without:.2} \
             without the change itself (target: at most 2)"
        );
    }
}

fn costs(name: &str, rounds: &[Round], options: &Options) -> Vec<String> {
    let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let sockets = number(options.sockets);
    let messages = sockets * 2.0 * number(options.events);
    let [before, with, after] =
        [0, 1, 2].map(|place: usize| of(&|round| megabytes(round.memory[place])));
    let each = |memory: f64| (memory - before) * 1e3 / sockets;
    row([
        &name,
        &format!("{:.2}", of(&|round| round.subscribed_in.as_secs_f64())),
        &format!("{before:.1}, {with:.1}, {after:.1}"),
        &format!("{:.1}, {:.1}", each(with), each(after)),
        &format!("{:.1}", of(&|round| round.used.as_secs_f64() * 1e6 / messages)),
    ])
}

/// How soon sockets were told of a change; and when the last one was, also without the change itself.
fn times(name: &str, rounds: &[Round], change: Change, what: &str) -> (Vec<String>, (f64, f64)) {
    let figures = || rounds.iter().map(|round| &round.figures[change as usize]);
    let all = |figure: fn(&Figures) -> &Vec<f64>| figures().flat_map(figure).copied().collect();
    let alone = median(all(|figures| &figures.alone));
    let last: Vec<f64> = all(|figures| &figures.last);
    let worst = last.iter().copied().fold(0.0, f64::max);
    let last = median(last);
    let cells = row([
        &name,
        &what,
        &figures().map(|figures| figures.bytes).max().unwrap_or_default(),
        &format!("{alone:.1}"),
        &format!("{:.1}", median(all(|figures| &figures.half))),
        &format!("{last:.1} ({worst:.1})"),
        &format!("{:.1}", last - alone),
    ]);
    (cells, (last, last - alone))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}
