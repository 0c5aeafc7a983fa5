//! Benchmark R8: hostile documents over every transport. The server must reject each of them fast and with an error
//! code, without growing in memory, and must serve other requests meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;

use crate::clock::{now, sleep};
use crate::environment::Environment;
use crate::hostile_documents;
use crate::http::{Connection, get};
use crate::report::{median, megabytes, millis, percentile, row, table};
use crate::server::Server;
use crate::transports::{Operation, Transport, TransportClient};

const LIVENESS_INTERVAL: Duration = Duration::from_millis(5);
const MAX_REFUSAL_MS: f64 = 50.0;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How often each document is sent over each transport.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// The figures of one document over one transport.
#[derive(Default)]
struct Cell {
    millis: Vec<f64>,
    cpu_time: Vec<f64>,
    outcomes: BTreeSet<String>,
    bytes: usize,
    /// The server executed the document instead of rejecting it.
    is_accepted: bool,
    /// A request got no response. The document is not sent again.
    is_unanswered: bool,
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let environment = Environment::start("R8: hostile documents", binary, &[]).await?;
    let server = &environment.server;
    let (mut clients, mut missing) = (Vec::new(), Vec::new());
    for transport in Transport::ALL {
        let mut client =
            TransportClient::new(transport, server.address, &environment.users[0].token);
        match client.is_served().await {
            true => clients.push(client),
            false => missing.push(transport.name()),
        }
    }
    let documents = hostile_documents::all();
    let liveness_before = LivenessProbe::start(server);
    sleep(Duration::from_secs(2)).await;
    let liveness_before = liveness_before.stop().await?;

    let mut memory = vec![row([&"memory", &"MB"]), memory_row("before", server.process.memory()?)];
    let mut cells: Vec<Vec<Cell>> = Vec::new();
    cells.resize_with(documents.len(), || clients.iter().map(|_| Cell::default()).collect());
    let probe = LivenessProbe::start(server);
    for round in 1..=options.rounds {
        for ((name, document), cells) in documents.iter().zip(&mut cells) {
            for (client, cell) in clients.iter_mut().zip(cells) {
                measure(server, client, document, cell).await.with_context(|| {
                    format!("the server does not survive {name} over {}", client.transport.name())
                })?;
            }
        }
        memory.push(memory_row(&format!("after round {round}"), server.process.memory()?));
    }
    let liveness_during = probe.stop().await?;
    sleep(Duration::from_secs(10)).await;
    memory.push(memory_row("10 s later", server.process.memory()?));
    memory.push(memory_row("the most at any time", server.process.peak_memory()?));

    print_documents(&documents, &clients, &cells);
    table(&memory);
    table(&[
        row([&"/health/live, asked each 5 ms", &"answers", &"p50 ms", &"p99 ms", &"worst ms"]),
        liveness_before.row("before"),
        liveness_during.row("meanwhile"),
    ]);
    if !missing.is_empty() {
        println!("The server does not have: {}.", missing.join(", "));
    }
    Ok(())
}

async fn measure(
    server: &Server,
    client: &mut TransportClient,
    document: &Operation,
    cell: &mut Cell,
) -> Result<()> {
    if cell.is_unanswered {
        return Ok(());
    }
    let before = server.process.cpu_time()?;
    let result = client.send(document).await;
    cell.cpu_time.push(millis(server.process.cpu_since(before)?));
    match result {
        Ok(response) => {
            cell.millis.push(millis(response.latency));
            cell.bytes = cell.bytes.max(response.text.len());
            cell.is_accepted |= !response.is_error();
            cell.outcomes.insert(response.outcome());
        }
        Err(error) => {
            cell.millis.push(f64::INFINITY);
            cell.is_unanswered = true;
            Connection::open(server.address).await?;
            cell.outcomes.insert(error.to_string());
        }
    }
    Ok(())
}

fn print_documents(
    documents: &[(&str, Operation)],
    clients: &[TransportClient],
    cells: &[Vec<Cell>],
) {
    let mut rows = vec![
        ["document".to_owned()]
            .into_iter()
            .chain(clients.iter().map(|client| format!("{} ms", client.transport.name())))
            .chain(["CPU ms".to_owned(), "answer bytes".to_owned(), "answered with".to_owned()])
            .collect(),
    ];
    let (mut slow, mut accepted) = (Vec::new(), Vec::new());
    let (mut worst, mut rejected) = (0.0_f64, 0);
    for ((name, _), cells) in documents.iter().zip(cells) {
        let mut cols = vec![(*name).to_owned()];
        let mut outcomes: Vec<(&BTreeSet<String>, Vec<&str>)> = Vec::new();
        for (client, cell) in clients.iter().zip(cells) {
            let latency = median(cell.millis.clone());
            worst = worst.max(latency);
            cols.push(format!("{latency:.1}"));
            let transport = client.transport.name();
            if latency >= MAX_REFUSAL_MS {
                slow.push(format!("{name} over {transport}: {latency:.1} ms"));
            }
            rejected += usize::from(!cell.is_accepted && !cell.is_unanswered);
            if cell.is_accepted {
                accepted.push(format!("{name} over {transport}"));
            }
            match outcomes.iter_mut().find(|(other, _)| **other == cell.outcomes) {
                Some((_, transports)) => transports.push(transport),
                None => outcomes.push((&cell.outcomes, vec![transport])),
            }
        }
        let cpu_time = cells.iter().map(|cell| median(cell.cpu_time.clone())).fold(0.0, f64::max);
        cols.push(format!("{cpu_time:.1}"));
        cols.push(cells.iter().map(|cell| cell.bytes).max().unwrap_or_default().to_string());
        outcomes.sort_by_key(|(_, transports)| std::cmp::Reverse(transports.len()));
        let outcome_texts = outcomes.iter().enumerate().map(|(index, (outcomes, transports))| {
            let outcomes = outcomes.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
            if index == 0 { outcomes } else { format!("{outcomes} ({})", transports.join(", ")) }
        });
        cols.push(outcome_texts.collect::<Vec<_>>().join("; "));
        rows.push(cols);
    }
    table(&rows);
    let result = documents.len() * clients.len();
    println!(
        "{} documents over {} transports; refused with an error: {rejected} of {result}",
        documents.len(),
        clients.len(),
    );
    println!("The slowest refusal, by medians: {worst:.1} ms (target: under 50)");
    for (label, list) in [("Too slow", slow), ("Answered instead of refused", accepted)] {
        if !list.is_empty() {
            println!("{label}: {}.", list.join("; "));
        }
    }
    println!();
}

fn memory_row(when: &str, bytes: u64) -> Vec<String> {
    row([&when, &format!("{:.1}", megabytes(bytes))])
}

/// Polls `/health/live` from a separate thread, so that the load does not delay it.
struct LivenessProbe {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<Vec<Duration>>>,
}

struct LivenessLatencies(Vec<Duration>);

impl LivenessLatencies {
    fn row(&self, when: &str) -> Vec<String> {
        let at = |share| format!("{:.2}", percentile(&self.0, share));
        row([&when, &self.0.len(), &at(0.5), &at(0.99), &at(1.0)])
    }
}

impl LivenessProbe {
    fn start(server: &Server) -> Self {
        let (address, stop) = (server.address, Arc::<AtomicBool>::default());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = Connection::open(address).await?;
                let mut latencies = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let started_at = now();
                    let (status, _) = connection.send(get("/health/live")?).await?;
                    ensure!(status == StatusCode::OK, "not alive: {status}");
                    latencies.push(now() - started_at);
                    sleep(LIVENESS_INTERVAL).await;
                }
                Ok(latencies)
            })
        });
        Self { stop, thread }
    }

    async fn stop(self) -> Result<LivenessLatencies> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        Ok(LivenessLatencies(joined.ok().context("the probe's thread panicked")??))
    }
}
