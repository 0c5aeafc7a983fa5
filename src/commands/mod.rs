//! The command line: parses the arguments and runs the command. Each command has a file of its own.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::server::{self, graphql::Engine};
use cli_error::CliError;

mod account;
mod admin;
mod bonus;
mod bonus_progress;
mod check;
mod check_files;
mod cli_error;
mod coins;
mod dashboard;
mod demo;
mod keys;
mod ledger;
mod migrate;
mod schema;
mod serve;
mod signals;
mod startup;

/// How long threads that block may take to end with the process.
const BLOCKING_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// Gives coins to the phone numbers of a file.
    #[command(subcommand)]
    Bonus(bonus::Bonus),
    /// Sets somebody's coins right.
    #[command(subcommand)]
    Coins(coins::Coins),
    /// Makes up players and what they did in the past days, beside the accounts that exist. For development.
    Demo(demo::Demo),
    /// Looks after the ledger of coins.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Looks after the dashboard's figures.
    #[command(subcommand)]
    Dashboard(dashboard::Dashboard),
    /// Looks after the keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Reads the configuration, tries every dependency, says what is wrong.
    Check,
}

/// Runs the command of the command line.
pub fn run() -> ExitCode {
    block_on(dispatch(CommandLine::parse().command.unwrap_or(Command::Serve)))
}

/// Serves with another GraphQL engine, for tests and for programs that extend the schema.
pub fn serve_engine(engine: fn(&App) -> Result<Engine, String>) -> ExitCode {
    block_on(serve::run(engine))
}

fn block_on(command: impl Future<Output = Result<(), CliError>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return print_error(&CliError::from(error)),
    };
    let exit_code = match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => print_error(&error),
    };
    // Not for ever: nothing interrupts a thread that reads from a terminal.
    runtime.shutdown_timeout(BLOCKING_SHUTDOWN_TIMEOUT);
    exit_code
}

async fn dispatch(command: Command) -> Result<(), CliError> {
    match command {
        Command::Serve => serve::run(server::build_engine).await,
        Command::Migrate => migrate::run().await,
        Command::Schema => schema::run(),
        Command::Admin(command) => admin::run(command).await,
        Command::Account(command) => account::run(command).await,
        Command::Bonus(command) => Box::pin(bonus::run(command)).await,
        Command::Coins(command) => coins::run(command).await,
        Command::Demo(command) => Box::pin(demo::run(command)).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Dashboard(command) => dashboard::run(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Check => check::run().await,
    }
}

#[expect(clippy::print_stderr, reason = "errors go to the terminal")]
fn print_error(error: &CliError) -> ExitCode {
    for line in &error.0 {
        eprintln!("switchboard: {line}");
    }
    ExitCode::FAILURE
}
