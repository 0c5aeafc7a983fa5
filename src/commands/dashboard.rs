//! `switchboard dashboard rebuild`: counts again what the dashboard shows.

use clap::Subcommand;

use super::cli_error::CliError;
use super::startup::prepare_platform;
use crate::dashboard::rebuild;

/// Looks after the dashboard's figures.
#[derive(Subcommand)]
pub enum Dashboard {
    /// Counts the figures again from the rows that they stand for, corrects those that differ, and tells which. Ends with 1
    /// when one differed. It may run while the program serves.
    Rebuild,
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run(command: Dashboard) -> Result<(), CliError> {
    let Dashboard::Rebuild = command;
    let (_, platform) = prepare_platform().await?;
    let report = rebuild(&platform).await?;
    for name in &report.compared {
        println!("counted again: {name}");
    }
    for name in &report.left {
        println!("left as it is: {name}");
    }
    println!("differences: {}", report.differences.len());
    for difference in &report.differences {
        println!("  {difference}");
    }
    match report.differences.is_empty() {
        true => Ok(()),
        false => Err(CliError(vec!["figures differed and are corrected now".into()])),
    }
}
