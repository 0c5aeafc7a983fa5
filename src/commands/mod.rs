//! The command line: one command, one file.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::{self, App};
use crate::config::Config;
use crate::error::Error;
use crate::server::{self, graphql::Engine};

mod account;
mod admin;
mod check;
mod coins;
mod keys;
mod ledger;
mod migrate;
mod schema;
mod serve;

/// The backend of a phone-first game or app behind one GraphQL schema.
#[derive(Parser)]
#[command(name = "switchboard", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the database up to date and serves (the default).
    Serve,
    /// Brings the database up to date.
    Migrate,
    /// Prints the GraphQL schema.
    Schema,
    /// Gives or takes the role of administrator.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Looks after accounts.
    #[command(subcommand)]
    Account(account::Account),
    /// Sets somebody's coins right.
    #[command(subcommand)]
    Coins(coins::Coins),
    /// Looks after the ledger of coins.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Looks after the keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Reads the configuration, tries every dependency, says what is wrong.
    Check,
}

/// Why a command failed: lines for the person who typed it.
struct Complaint(Vec<String>);

impl From<Error> for Complaint {
    fn from(error: Error) -> Self {
        // To the person who typed a command, the cause says more than what a client would be told.
        Self(vec![error.cause().unwrap_or_else(|| error.describe())])
    }
}

impl From<std::io::Error> for Complaint {
    fn from(error: std::io::Error) -> Self {
        Self(vec![error.to_string()])
    }
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    run_to_end(dispatch(CommandLine::parse().command.unwrap_or(Command::Serve)))
}

/// Serves another engine than the product's own, for who builds on it and for tests.
pub fn serve_engine(engine: fn(&App) -> Result<Engine, String>) -> ExitCode {
    run_to_end(serve::run(engine))
}

fn run_to_end(command: impl Future<Output = Result<(), Complaint>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&Complaint::from(error)),
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => complain(&complaint),
    }
}

async fn dispatch(command: Command) -> Result<(), Complaint> {
    match command {
        Command::Serve => serve::run(server::engine).await,
        Command::Migrate => migrate::run().await,
        Command::Schema => schema::run(),
        Command::Admin(what) => admin::run(what).await,
        Command::Account(what) => account::run(what).await,
        Command::Coins(what) => coins::run(what).await,
        Command::Ledger(what) => ledger::run(what).await,
        Command::Keys(what) => keys::run(what).await,
        Command::Check => check::run().await,
    }
}

#[expect(clippy::print_stderr, reason = "for the person who typed the command")]
fn complain(complaint: &Complaint) -> ExitCode {
    for line in &complaint.0 {
        eprintln!("switchboard: {line}");
    }
    ExitCode::FAILURE
}

/// The configuration, and a log that follows it.
fn configured() -> Result<Config, Complaint> {
    let config = Config::load().map_err(Complaint)?;
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
        .map_err(|error| Complaint(vec![format!("LOG: {error}")]))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A log that nobody reads any more must not end the process.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if config.log_json {
        log.json().init();
    } else {
        log.init();
    }
    // A panic is a line of the log like any other, with its request's id.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(config)
}

/// The platform with its tables up to date.
async fn prepared() -> Result<(Config, crate::platform::Platform), Complaint> {
    let mut config = configured()?;
    let platform = app::platform(&mut config).map_err(Complaint)?;
    app::prepare(&platform).await?;
    Ok((config, platform))
}

/// The whole program, ready to serve.
async fn assembled() -> Result<App, Complaint> {
    let (config, platform) = prepared().await?;
    Ok(App::new(config, platform).await?)
}
