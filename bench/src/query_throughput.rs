//! Benchmark P1: throughput of `me` with ten contacts, compared with a baseline server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::environment::{DATABASE, Environment};
use crate::load::{LoadRequest, LoadResult, at_full_speed};
use crate::process::Process;
use crate::query_baseline::QueryBaseline;
use crate::report::{median, percentile, row, table};
use crate::users::me_requests;

/// Command-line options.
#[derive(clap::Args)]
pub struct Options {
    /// How many rounds: each measures both in turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The LOG setting of Switchboard.
    #[arg(long, default_value = "")]
    log: String,
}

/// A server and its measured rounds.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    process: Process,
    rounds: Vec<Round>,
}

struct Round {
    result: LoadResult,
    /// CPU time of the server, and of its database.
    cpu_used: (Duration, Duration),
}

impl Round {
    /// Microseconds of CPU time per request: server, and database.
    fn cpu_per_request(&self) -> (f64, f64) {
        let per_request = |cpu_time: Duration| cpu_time.as_secs_f64() * 1e6 / self.result.count();
        (per_request(self.cpu_used.0), per_request(self.cpu_used.1))
    }
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let name = "P1: me with ten contacts";
    let environment = Environment::start(name, binary, &[("LOG", &options.log)]).await?;
    let baseline =
        QueryBaseline::start(&environment.postgres.url(DATABASE), &environment.users).await?;
    let requests = me_requests(&environment.server, &environment.users).await?;
    let mut subjects = [
        Subject {
            name: "floor",
            address: baseline.address,
            process: baseline.process,
            rounds: Vec::new(),
        },
        Subject {
            name: "product",
            address: environment.server.address,
            process: environment.server.process,
            rounds: Vec::new(),
        },
    ];
    let duration = Duration::from_secs(options.seconds);
    for subject in &subjects {
        at_full_speed(subject.address, &requests, options.connections, duration.div_f64(2.0))
            .await?;
    }
    for _ in 0..options.rounds {
        for subject in &mut subjects {
            let round = measure(subject, &requests, environment.postgres.process, &options).await?;
            subject.rounds.push(round);
        }
    }
    print(&subjects)
}

async fn measure(
    subject: &Subject,
    requests: &Arc<[LoadRequest]>,
    postgres: Process,
    options: &Options,
) -> Result<Round> {
    let duration = Duration::from_secs(options.seconds);
    let before = (subject.process.cpu_time()?, postgres.cpu_time()?);
    let result = at_full_speed(subject.address, requests, options.connections, duration).await?;
    let cpu_used = (subject.process.cpu_since(before.0)?, postgres.cpu_since(before.1)?);
    Ok(Round { result, cpu_used })
}

fn print(subjects: &[Subject; 2]) -> Result<()> {
    let mut rows = vec![row([
        &"server",
        &"rps, median (min-max)",
        &"p50 ms",
        &"p99 ms",
        &"server CPU us/request",
        &"PostgreSQL CPU us/request",
        &"both",
        &"memory MB",
    ])];
    for subject in subjects {
        let values =
            |figure: &dyn Fn(&Round) -> f64| subject.rounds.iter().map(figure).collect::<Vec<_>>();
        let rates = values(&|round| round.result.rate());
        let min = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let max = rates.iter().copied().fold(0.0, f64::max);
        let latency = |share| median(values(&|round| percentile(&round.result.latencies, share)));
        rows.push(row([
            &subject.name,
            &format!("{:.0} ({min:.0}-{max:.0})", median(rates)),
            &format!("{:.1}", latency(0.5)),
            &format!("{:.1}", latency(0.99)),
            &format!("{:.0}", median(values(&|round| round.cpu_per_request().0))),
            &format!("{:.0}", median(values(&|round| round.cpu_per_request().1))),
            &format!(
                "{:.0}",
                median(values(&|round| round.cpu_per_request().0 + round.cpu_per_request().1))
            ),
            &format!("{:.0}", crate::report::megabytes(subject.process.memory()?)),
        ]));
    }
    table(&rows);
    let [baseline, server] = subjects;
    let total_cpu = |round: &Round| round.cpu_per_request().0 + round.cpu_per_request().1;
    let ratios = baseline
        .rounds
        .iter()
        .zip(&server.rounds)
        .map(|(baseline, server)| total_cpu(server) / total_cpu(baseline))
        .collect();
    println!(
        "CPU of the product, a multiple of the floor's: {:.2} (target: at most 1.8)",
        median(ratios)
    );
    Ok(())
}
