//! P1: `me` with ten contacts and a token, beside the floor, by turns.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::floor::Floor;
use crate::load::{Shot, Tally, at_full_speed};
use crate::people::asking_for_me;
use crate::process::Process;
use crate::report::{median, percentile, row, table};
use crate::stage::{DATABASE, Stage};

/// How it is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How often each is measured, by turns.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// For how many seconds each time.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Connections that are kept alive.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The product's LOG.
    #[arg(long, default_value = "")]
    log: String,
}

/// A server, and what its rounds showed.
struct Contender {
    name: &'static str,
    address: SocketAddr,
    process: Process,
    rounds: Vec<Round>,
}

struct Round {
    tally: Tally,
    /// CPU time of the server and of its database.
    used: (Duration, Duration),
}

impl Round {
    /// Microseconds of CPU a request: server and database.
    fn cpu(&self) -> (f64, f64) {
        let each = |used: Duration| used.as_secs_f64() * 1e6 / self.tally.count();
        (each(self.used.0), each(self.used.1))
    }
}

/// Measures and prints.
///
/// # Errors
/// When an answer is wrong.
pub async fn run(server: &Path, options: Options) -> Result<()> {
    let name = "P1: me with ten contacts";
    let stage = Stage::set(name, server, &[("LOG", &options.log)]).await?;
    let floor = Floor::start(&stage.postgres.url(DATABASE), &stage.people).await?;
    let shots = asking_for_me(&stage.product, &stage.people).await?;
    let mut contenders = [
        Contender {
            name: "floor",
            address: floor.address,
            process: floor.process,
            rounds: Vec::new(),
        },
        Contender {
            name: "product",
            address: stage.product.address,
            process: stage.product.process,
            rounds: Vec::new(),
        },
    ];
    let duration = Duration::from_secs(options.seconds);
    for contender in &contenders {
        at_full_speed(contender.address, &shots, options.connections, duration.div_f64(2.0))
            .await?;
    }
    for _ in 0..options.rounds {
        for contender in &mut contenders {
            let round = measure(contender, &shots, stage.postgres.process, &options).await?;
            contender.rounds.push(round);
        }
    }
    print(&contenders)
}

async fn measure(
    contender: &Contender,
    shots: &Arc<[Shot]>,
    postgres: Process,
    options: &Options,
) -> Result<Round> {
    let duration = Duration::from_secs(options.seconds);
    let before = (contender.process.cpu()?, postgres.cpu()?);
    let tally = at_full_speed(contender.address, shots, options.connections, duration).await?;
    let used = (contender.process.cpu_since(before.0)?, postgres.cpu_since(before.1)?);
    Ok(Round { tally, used })
}

fn print(contenders: &[Contender; 2]) -> Result<()> {
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
    for contender in contenders {
        let of = |figure: &dyn Fn(&Round) -> f64| {
            contender.rounds.iter().map(figure).collect::<Vec<_>>()
        };
        let rates = of(&|round| round.tally.rate());
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rates.iter().copied().fold(0.0, f64::max);
        let latency = |share| median(of(&|round| percentile(&round.tally.latencies, share)));
        rows.push(row([
            &contender.name,
            &format!("{:.0} ({least:.0}-{most:.0})", median(rates)),
            &format!("{:.1}", latency(0.5)),
            &format!("{:.1}", latency(0.99)),
            &format!("{:.0}", median(of(&|round| round.cpu().0))),
            &format!("{:.0}", median(of(&|round| round.cpu().1))),
            &format!("{:.0}", median(of(&|round| round.cpu().0 + round.cpu().1))),
            &format!("{:.0}", crate::report::megabytes(contender.process.memory()?)),
        ]));
    }
    table(&rows);
    let [floor, product] = contenders;
    let both = |round: &Round| round.cpu().0 + round.cpu().1;
    let ratios = floor.rounds.iter().zip(&product.rounds).map(|(f, p)| both(p) / both(f)).collect();
    println!(
        "CPU of the product, a multiple of the floor's: {:.2} (target: at most 1.8)",
        median(ratios)
    );
    Ok(())
}
