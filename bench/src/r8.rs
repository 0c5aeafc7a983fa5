//! R8: hostile documents over every transport. Each must be refused soon, with a code, at no cost in
//! memory, and the server must answer others all the while.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;

use crate::clock::{now, sleep};
use crate::hostile;
use crate::http::{Connection, get};
use crate::product::Product;
use crate::report::{median, megabytes, millis, percentile, row, table};
use crate::stage::Stage;
use crate::transports::{Operation, Sender, Transport};

const LIVENESS_EACH: Duration = Duration::from_millis(5);
const REFUSED_WITHIN_MS: f64 = 50.0;

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How often each document is sent over each transport.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// One document over one transport.
#[derive(Default)]
struct Cell {
    millis: Vec<f64>,
    cpu: Vec<f64>,
    verdicts: BTreeSet<String>,
    bytes: usize,
    is_served_instead: bool,
    /// It was not answered once, and is not sent again.
    is_given_up: bool,
}

/// Measures and prints.
///
/// # Errors
/// When the server dies.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let stage = Stage::set("R8: hostile documents", server, &[]).await?;
    let product = &stage.product;
    let (mut senders, mut missing) = (Vec::new(), Vec::new());
    for transport in Transport::ALL {
        let mut sender = Sender::new(transport, product.address, &stage.people[0].token);
        match sender.is_served().await {
            true => senders.push(sender),
            false => missing.push(transport.name()),
        }
    }
    let documents = hostile::all();
    let quiet = Liveness::start(product);
    sleep(Duration::from_secs(2)).await;
    let quiet = quiet.stop().await?;

    let mut memory = vec![row([&"memory", &"MB"]), said("before", product.process.memory()?)];
    let mut cells: Vec<Vec<Cell>> = Vec::new();
    cells.resize_with(documents.len(), || senders.iter().map(|_| Cell::default()).collect());
    let liveness = Liveness::start(product);
    for round in 1..=options.rounds {
        for ((name, document), cells) in documents.iter().zip(&mut cells) {
            for (sender, cell) in senders.iter_mut().zip(cells) {
                measure(product, sender, document, cell).await.with_context(|| {
                    format!("the server does not survive {name} over {}", sender.transport.name())
                })?;
            }
        }
        memory.push(said(&format!("after round {round}"), product.process.memory()?));
    }
    let meanwhile = liveness.stop().await?;
    sleep(Duration::from_secs(10)).await;
    memory.push(said("10 s later", product.process.memory()?));
    memory.push(said("the most at any time", product.process.most_memory()?));

    print_documents(&documents, &senders, &cells);
    table(&memory);
    table(&[
        row([&"/health/live, asked each 5 ms", &"answers", &"p50 ms", &"p99 ms", &"worst ms"]),
        quiet.row("before"),
        meanwhile.row("meanwhile"),
    ]);
    if !missing.is_empty() {
        println!("The server does not have: {}.", missing.join(", "));
    }
    Ok(())
}

async fn measure(
    product: &Product,
    sender: &mut Sender,
    document: &Operation,
    cell: &mut Cell,
) -> Result<()> {
    if cell.is_given_up {
        return Ok(());
    }
    let before = product.process.cpu()?;
    let sent = sender.send(document).await;
    cell.cpu.push(millis(product.process.cpu_since(before)?));
    match sent {
        Ok(answer) => {
            cell.millis.push(millis(answer.took));
            cell.bytes = cell.bytes.max(answer.text.len());
            cell.is_served_instead |= !answer.is_refusal();
            cell.verdicts.insert(answer.verdict());
        }
        Err(error) => {
            cell.millis.push(f64::INFINITY);
            cell.is_given_up = true;
            Connection::open(product.address).await?;
            cell.verdicts.insert(error.to_string());
        }
    }
    Ok(())
}

fn print_documents(documents: &[(&str, Operation)], senders: &[Sender], cells: &[Vec<Cell>]) {
    let mut rows = vec![
        ["document".to_owned()]
            .into_iter()
            .chain(senders.iter().map(|sender| format!("{} ms", sender.transport.name())))
            .chain(["CPU ms".to_owned(), "answer bytes".to_owned(), "answered with".to_owned()])
            .collect(),
    ];
    let (mut slow, mut served) = (Vec::new(), Vec::new());
    let (mut worst, mut refused) = (0.0_f64, 0);
    for ((name, _), cells) in documents.iter().zip(cells) {
        let mut cols = vec![(*name).to_owned()];
        let mut verdicts: Vec<(&BTreeSet<String>, Vec<&str>)> = Vec::new();
        for (sender, cell) in senders.iter().zip(cells) {
            let took = median(cell.millis.clone());
            worst = worst.max(took);
            cols.push(format!("{took:.1}"));
            let transport = sender.transport.name();
            if took >= REFUSED_WITHIN_MS {
                slow.push(format!("{name} over {transport}: {took:.1} ms"));
            }
            refused += usize::from(!cell.is_served_instead && !cell.is_given_up);
            if cell.is_served_instead {
                served.push(format!("{name} over {transport}"));
            }
            match verdicts.iter_mut().find(|(known, _)| **known == cell.verdicts) {
                Some((_, transports)) => transports.push(transport),
                None => verdicts.push((&cell.verdicts, vec![transport])),
            }
        }
        let cpu = cells.iter().map(|cell| median(cell.cpu.clone())).fold(0.0, f64::max);
        cols.push(format!("{cpu:.1}"));
        cols.push(cells.iter().map(|cell| cell.bytes).max().unwrap_or_default().to_string());
        verdicts.sort_by_key(|(_, transports)| std::cmp::Reverse(transports.len()));
        let told = verdicts.iter().enumerate().map(|(place, (verdicts, transports))| {
            let verdicts = verdicts.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
            if place == 0 { verdicts } else { format!("{verdicts} ({})", transports.join(", ")) }
        });
        cols.push(told.collect::<Vec<_>>().join("; "));
        rows.push(cols);
    }
    table(&rows);
    let sent = documents.len() * senders.len();
    println!(
        "{} documents over {} transports; refused with an error: {refused} of {sent}",
        documents.len(),
        senders.len(),
    );
    println!("The slowest refusal, by medians: {worst:.1} ms (target: under 50)");
    for (what, list) in [("Too slow", slow), ("Answered instead of refused", served)] {
        if !list.is_empty() {
            println!("{what}: {}.", list.join("; "));
        }
    }
    println!();
}

fn said(when: &str, bytes: u64) -> Vec<String> {
    row([&when, &format!("{:.1}", megabytes(bytes))])
}

/// Asks whether the process is alive, from a thread of its own, so that what we do delays nothing.
struct Liveness {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<Vec<Duration>>>,
}

struct Alive(Vec<Duration>);

impl Alive {
    fn row(&self, when: &str) -> Vec<String> {
        let at = |share| format!("{:.2}", percentile(&self.0, share));
        row([&when, &self.0.len(), &at(0.5), &at(0.99), &at(1.0)])
    }
}

impl Liveness {
    fn start(product: &Product) -> Self {
        let (address, stop) = (product.address, Arc::<AtomicBool>::default());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = Connection::open(address).await?;
                let mut latencies = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let began = now();
                    let (status, _) = connection.send(get("/health/live")?).await?;
                    ensure!(status == StatusCode::OK, "not alive: {status}");
                    latencies.push(now() - began);
                    sleep(LIVENESS_EACH).await;
                }
                Ok(latencies)
            })
        });
        Self { stop, thread }
    }

    async fn stop(self) -> Result<Alive> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        Ok(Alive(joined.ok().context("the thread that asks")??))
    }
}
