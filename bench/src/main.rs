//! Benchmarks of speed and resilience: each one starts its own PostgreSQL and the release binary, measures them, and
//! prints tables in Markdown. The figures stand in docs/src/benchmarks.md.
//!
//! The load comes from this process, so that its CPU time is not counted.

#![expect(clippy::print_stdout, reason = "the results are printed")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

mod avatar_fan_out;
mod batch_writes;
mod bonuses;
mod broadcast_baseline;
mod call_baseline;
mod clock;
mod cross_instance;
mod dashboards;
mod disk_and_clock_faults;
mod environment;
mod gateway;
mod hostile_documents;
mod hostile_requests;
mod http;
mod idle_sockets;
mod import_crashes;
mod import_isolation;
mod import_stream;
mod import_throughput;
mod leaderboards;
mod load;
mod login_throughput;
mod message_throughput;
mod postgres;
mod postgres_faults;
mod process;
mod provider_calls;
mod query_baseline;
mod query_throughput;
mod redis;
mod report;
mod round_throughput;
mod server;
mod statistics;
mod test_accounts;
mod timing;
mod transports;
mod users;
mod watched_user;

/// Measures Switchboard.
#[derive(Parser)]
struct Bench {
    /// The server to measure. Without it the product is built in release mode.
    #[arg(long = "server")]
    binary: Option<PathBuf>,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// A small query with a token, beside a bare server that runs the same two statements.
    #[command(name = "p1")]
    QueryThroughput(query_throughput::Options),
    /// Rounds that are started and played, beside pgbench with the same statements; and a mixed load.
    #[command(name = "p2")]
    RoundThroughput(round_throughput::Options),
    /// Leaderboards of ten thousand and of a million rows, and the counting of new rounds.
    Leaderboards(leaderboards::Options),
    /// A change sent to thousands of sockets, beside a bare server that sends the same bytes.
    #[command(name = "p6")]
    AvatarFanOut(avatar_fan_out::Options),
    /// Credits with messages in one batch, beside raw set-based SQL.
    #[command(name = "batch")]
    BatchWrites(batch_writes::Options),
    /// Imports of bonus files on PostgreSQL, beside raw set-based SQL and the normaliser.
    #[command(name = "p3")]
    ImportThroughput(import_throughput::Options),
    /// The same on SQLite.
    #[command(name = "p4")]
    ImportThroughputOnSqlite(import_throughput::Options),
    /// Queries and rounds in an open loop while an import runs.
    #[command(name = "p5")]
    ImportIsolation(import_isolation::Options),
    /// A bonus file every few minutes, beside queries and rounds.
    #[command(name = "p3b")]
    ImportStream(import_stream::Options),
    /// Imports of bonus files by servers that are killed again and again.
    #[command(name = "r1")]
    ImportCrashes(import_crashes::Options),
    /// Logins, beside the bare rate of hashes; and the latency of other requests meanwhile.
    #[command(name = "p7")]
    LoginThroughput(login_throughput::Options),
    /// Messages sent to a fast gateway, and codes among them.
    #[command(name = "p8")]
    MessageThroughput(message_throughput::Options),
    /// Dashboards of a year over the rounds of a million players, and plays while dashboards are open.
    #[command(name = "p9")]
    Dashboards(dashboards::Options),
    /// Calls of a provider by API connections, beside a bare server that reads the row and calls by reqwest.
    #[command(name = "p10")]
    ProviderCalls(provider_calls::Options),
    /// PostgreSQL that hangs, crashes or becomes read-only under load.
    #[command(name = "r3")]
    PostgresFaults(postgres_faults::Options),
    /// Hostile documents over every transport.
    #[command(name = "r8")]
    HostileRequests(hostile_requests::Options),
    /// A full disk under SQLite, and a clock that is set back.
    #[command(name = "r11")]
    DiskAndClockFaults(disk_and_clock_faults::Options),
    /// Idle sockets.
    #[command(name = "idle")]
    IdleSockets(idle_sockets::Options),
    /// A change on one instance, received on another.
    #[command(name = "across")]
    CrossInstance(cross_instance::Options),
    /// Whether response times reveal that an account exists.
    Timing(timing::Options),
    /// The bare server of `p1`, which starts it.
    #[command(hide = true)]
    QueryBaseline(query_baseline::Options),
    /// The bare server of `p6`, which starts it.
    #[command(hide = true)]
    BroadcastBaseline,
    /// The bare server of `p10`, which starts it.
    #[command(hide = true)]
    CallBaseline(call_baseline::Options),
    /// The provider of `p10`, which starts it.
    #[command(hide = true)]
    CallProvider,
}

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        bail!("measure what is served: cargo run --release -p bench -- …");
    }
    let bench = Bench::parse();
    let multi_thread = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match bench.benchmark {
        Benchmark::QueryBaseline(options) => {
            return multi_thread()?.block_on(query_baseline::run(options));
        }
        Benchmark::BroadcastBaseline => return multi_thread()?.block_on(broadcast_baseline::run()),
        Benchmark::CallBaseline(options) => {
            return multi_thread()?.block_on(call_baseline::run(options));
        }
        Benchmark::CallProvider => return multi_thread()?.block_on(call_baseline::run_provider()),
        // Runs the product's functions in this process.
        Benchmark::BatchWrites(options) => {
            return multi_thread()?.block_on(batch_writes::run(options));
        }
        _ => {}
    }
    let binary = match bench.binary {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => build_release()?,
    };
    process::raise_open_files()?;
    // One thread for the load, so that it uses at most one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            result = run_benchmark(bench.benchmark, &binary) => result,
            () = clock::interrupted() => bail!("interrupted"),
        }
    })
}

async fn run_benchmark(benchmark: Benchmark, binary: &Path) -> Result<()> {
    match benchmark {
        Benchmark::QueryThroughput(options) => query_throughput::run(binary, options).await,
        Benchmark::RoundThroughput(options) => round_throughput::run(binary, options).await,
        Benchmark::Leaderboards(options) => leaderboards::run(binary, options).await,
        Benchmark::AvatarFanOut(options) => avatar_fan_out::run(binary, options).await,
        Benchmark::ImportThroughput(options) => {
            import_throughput::run_on_postgres(binary, options).await
        }
        Benchmark::ImportThroughputOnSqlite(options) => {
            import_throughput::run_on_sqlite(binary, options).await
        }
        Benchmark::ImportIsolation(options) => import_isolation::run(binary, options).await,
        Benchmark::ImportStream(options) => import_stream::run(binary, options).await,
        Benchmark::ImportCrashes(options) => import_crashes::run(binary, options).await,
        Benchmark::LoginThroughput(options) => login_throughput::run(binary, options).await,
        Benchmark::MessageThroughput(options) => message_throughput::run(binary, options).await,
        Benchmark::Dashboards(options) => dashboards::run(binary, options).await,
        Benchmark::ProviderCalls(options) => provider_calls::run(binary, options).await,
        Benchmark::PostgresFaults(options) => postgres_faults::run(binary, options).await,
        Benchmark::HostileRequests(options) => hostile_requests::run(binary, options).await,
        Benchmark::DiskAndClockFaults(options) => disk_and_clock_faults::run(binary, options).await,
        Benchmark::IdleSockets(options) => idle_sockets::run(binary, options).await,
        Benchmark::CrossInstance(options) => cross_instance::run(binary, options).await,
        Benchmark::Timing(options) => timing::run(binary, options).await,
        Benchmark::BatchWrites(_)
        | Benchmark::QueryBaseline(_)
        | Benchmark::BroadcastBaseline
        | Benchmark::CallBaseline(_)
        | Benchmark::CallProvider => {
            bail!("a baseline server needs no binary")
        }
    }
}

/// Builds the release binary. Returns its path, which is next to this program.
fn build_release() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace folder")?;
    let status = std::process::Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "switchboard",
            "--bin",
            "switchboard",
        ])
        .current_dir(root)
        .status()?;
    if !status.success() {
        bail!("Switchboard cannot be built");
    }
    Ok(std::env::current_exe()?.with_file_name("switchboard"))
}
