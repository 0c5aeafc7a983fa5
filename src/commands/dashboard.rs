//! `switchboard dashboard rebuild`: counts again what the dashboard shows.

use clap::Subcommand;

use super::cli_error::CliError;
use super::startup::prepare_platform;
use crate::dashboard::{Finding, rebuild};

/// Looks after the dashboard's figures.
#[derive(Subcommand)]
pub enum Dashboard {
    /// Counts the figures again from the rows that they stand for, corrects those that differ, and tells which. Ends with 1
    /// when one differed. It may run while the program serves.
    Rebuild,
}

pub async fn run(command: Dashboard) -> Result<(), CliError> {
    let Dashboard::Rebuild = command;
    let (_, platform) = prepare_platform().await?;
    // Each correction is printed at once: if a later step fails, another run would not find it.
    let differences = rebuild(&platform, &print).await?.differences.len();
    print_total(differences);
    match differences {
        0 => Ok(()),
        _ => Err(CliError(vec!["figures differed and are corrected now".into()])),
    }
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print(finding: Finding<'_>) {
    match finding {
        Finding::Compared(name) => println!("counted again: {name}"),
        Finding::Corrected(difference) => println!("corrected: {difference}"),
        Finding::Left(name) => println!("left as it is: {name}"),
    }
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
fn print_total(differences: usize) {
    println!("differences: {differences}");
}
