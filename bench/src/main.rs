//! How fast Switchboard is, and what survives: each row starts its own PostgreSQL and the release binary,
//! measures them, and prints what was found as Markdown. docs/src/benchmarks.md has the figures.
//!
//! The load comes from this process, so that its CPU time counts for nobody.

#![expect(clippy::print_stdout, reason = "what was measured is printed")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

mod across;
mod boards;
mod cast;
mod clock;
mod floor;
mod gateway;
mod hostile;
mod http;
mod idle;
mod load;
mod p1;
mod p2;
mod p6;
mod p7;
mod p8;
mod people;
mod postgres;
mod process;
mod product;
mod r11;
mod r3;
mod r8;
mod redis;
mod relay;
mod report;
mod stage;
mod star;
mod statistics;
mod timing;
mod transports;

/// Measures Switchboard.
#[derive(Parser)]
struct Bench {
    /// The server to measure. Without it the product is built in release mode.
    #[arg(long)]
    server: Option<PathBuf>,
    #[command(subcommand)]
    row: Row,
}

#[derive(Subcommand)]
enum Row {
    /// A small query with a token, beside a bare server that runs the same two statements.
    P1(p1::Options),
    /// Rounds that are started and played, beside pgbench with the same statements; and a mixed load.
    P2(p2::Options),
    /// Leaderboards of ten thousand and of a million places, and rounds that come to them.
    Boards(boards::Options),
    /// Telling thousands of sockets of one change, beside a bare server that sends all the same bytes.
    P6(p6::Options),
    /// Logins, beside the bare rate of hashes; and what others feel meanwhile.
    P7(p7::Options),
    /// Messages leaving for a gateway that takes them at once, and codes among them.
    P8(p8::Options),
    /// PostgreSQL that goes silent, crashes or becomes read-only under load.
    R3(r3::Options),
    /// A full disk under SQLite, and a clock that is set back.
    R11(r11::Options),
    /// Hostile documents over every transport.
    R8(r8::Options),
    /// Idle sockets.
    Idle(idle::Options),
    /// A change on one instance, told on another.
    Across(across::Options),
    /// Whether the time of an answer tells an account that there is from one that there is not.
    Timing(timing::Options),
    /// The bare server of P1, which it starts itself.
    #[command(hide = true)]
    Floor(floor::Options),
    /// The bare server of P6, which it starts itself.
    #[command(hide = true)]
    Relay,
}

fn main() -> Result<()> {
    if cfg!(debug_assertions) {
        bail!("measure what is served: cargo run --release -p bench -- …");
    }
    let bench = Bench::parse();
    let floor = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match bench.row {
        Row::Floor(options) => return floor()?.block_on(floor::run(options)),
        Row::Relay => return floor()?.block_on(relay::run()),
        _ => {}
    }
    let server = match bench.server {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => built()?,
    };
    process::raise_open_files()?;
    // One thread for the load, so that it takes at most one core, and says so when that is too little.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            measured = measure(bench.row, &server) => measured,
            () = clock::interrupted() => bail!("interrupted"),
        }
    })
}

async fn measure(row: Row, server: &Path) -> Result<()> {
    match row {
        Row::P1(options) => p1::run(server, options).await,
        Row::P2(options) => p2::run(server, options).await,
        Row::Boards(options) => boards::run(server, options).await,
        Row::P6(options) => p6::run(server, options).await,
        Row::P7(options) => p7::run(server, options).await,
        Row::P8(options) => p8::run(server, options).await,
        Row::R3(options) => r3::run(server, options).await,
        Row::R11(options) => r11::run(server, options).await,
        Row::R8(options) => r8::run(server, options).await,
        Row::Idle(options) => idle::run(server, options).await,
        Row::Across(options) => across::run(server, options).await,
        Row::Timing(options) => timing::run(server, options).await,
        Row::Floor(_) | Row::Relay => bail!("a floor runs by itself"),
    }
}

/// The product, as it is released, beside this binary.
fn built() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
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
        bail!("the product cannot be built");
    }
    Ok(std::env::current_exe()?.with_file_name("switchboard"))
}
