//! Benchmark P10: calls of a provider by API connections, compared with a baseline server.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::call_baseline::BareServer;
use crate::environment::{DATABASE, start_database};
use crate::http::{Connection, graphql};
use crate::load::{LoadRequest, LoadResult, at_full_speed};
use crate::process::Process;
use crate::report::{median, percentile, row, table};
use crate::server::{Server, secret_keys};

const API_CONNECTIONS: usize = 64;
const CREATE: &str = "mutation ($input: CreateConnectionInput!) {
  createConnection(input: $input) { reference secret }
}";
const CALL: &str = "mutation ($input: CallConnectionInput!) {
  callConnection(input: $input) { status body }
}";

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
    /// Microseconds of CPU time per call: server, and database.
    fn cpu_per_call(&self) -> (f64, f64) {
        let per_call = |cpu_time: Duration| cpu_time.as_secs_f64() * 1e6 / self.result.count();
        (per_call(self.cpu_used.0), per_call(self.cpu_used.1))
    }
}

/// Measures and prints the figures.
pub async fn run(binary: &Path, options: Options) -> Result<()> {
    let postgres = start_database("P10: callConnection").await?;
    let (database, keys) = (postgres.url(DATABASE), secret_keys()?);
    let provider = BareServer::provider().await?;
    let url = format!("http://{}", provider.address);
    let mut file = NamedTempFile::new()?;
    writeln!(
        file,
        "[bare]\nname = \"Bare\"\nbase_url = \"{url}\"\n[[bare.schemes]]\nscheme = \"bearer\""
    )?;
    let allowed = provider.address.to_string();
    let settings = [
        ("LOG", &*options.log),
        ("SECRET_KEYS", &keys),
        ("PROVIDERS_FILE", file.path().to_str().context("a path")?),
        ("OUTBOUND_ALLOW", &allowed),
    ];
    let server = Server::start(binary, &database, &settings).await?;
    let baseline = BareServer::baseline(&database, &keys, &url).await?;
    let requests = call_requests(&server).await?;
    let subject = |name, address, process| Subject { name, address, process, rounds: Vec::new() };
    let mut subjects = [
        subject("floor", baseline.address, baseline.process),
        subject("product", server.address, server.process),
    ];
    let duration = Duration::from_secs(options.seconds);
    for subject in &subjects {
        at_full_speed(subject.address, &requests, options.connections, duration.div_f64(2.0))
            .await?;
    }
    for _ in 0..options.rounds {
        for subject in &mut subjects {
            let before = (subject.process.cpu_time()?, postgres.process.cpu_time()?);
            let result =
                at_full_speed(subject.address, &requests, options.connections, duration).await?;
            let cpu_used =
                (subject.process.cpu_since(before.0)?, postgres.process.cpu_since(before.1)?);
            subject.rounds.push(Round { result, cpu_used });
        }
    }
    print(&subjects)
}

/// Makes connections, and returns a call by each, which is tried once. Both servers must answer the same bytes.
async fn call_requests(server: &Server) -> Result<Arc<[LoadRequest]>> {
    let mut connection = Connection::open(server.address).await?;
    let mut requests = Vec::new();
    for number in 0..API_CONNECTIONS {
        let credentials = json!({ "accessToken": format!("token-{number}") });
        let input = json!({ "provider": "bare", "credentials": credentials });
        let created = connection.execute(CREATE, &json!({ "input": input }), None).await?;
        let mut input = created["createConnection"].clone();
        input["path"] = json!("/me");
        let request = graphql(CALL, &json!({ "input": input }), None)?;
        let (status, expected) = connection.send(request.clone()).await?;
        let response: Value = serde_json::from_slice(&expected)?;
        let is_expected = response["data"]["callConnection"]["body"]["name"] == "Ann";
        ensure!(status == StatusCode::OK && is_expected, "{status}: {response}");
        requests.push(LoadRequest { request, expected: Some(expected) });
    }
    Ok(requests.into())
}

fn print(subjects: &[Subject; 2]) -> Result<()> {
    let mut rows = vec![row([
        &"server",
        &"calls/s, median (min-max)",
        &"p50 ms",
        &"p99 ms",
        &"server CPU us/call",
        &"PostgreSQL CPU us/call",
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
            &format!("{:.0}", median(values(&|round| round.cpu_per_call().0))),
            &format!("{:.0}", median(values(&|round| round.cpu_per_call().1))),
            &format!("{:.0}", crate::report::megabytes(subject.process.memory()?)),
        ]));
    }
    table(&rows);
    let [baseline, server] = subjects;
    let ratio = |cpu: &dyn Fn(&Round) -> f64| {
        let pairs = baseline.rounds.iter().zip(&server.rounds);
        median(pairs.map(|(baseline, server)| cpu(server) / cpu(baseline)).collect())
    };
    println!(
        "CPU of the product, a multiple of the floor's: {:.2} (target: at most 1.5); with PostgreSQL's: {:.2}",
        ratio(&|round| round.cpu_per_call().0),
        ratio(&|round| round.cpu_per_call().0 + round.cpu_per_call().1)
    );
    Ok(())
}
