//! `switchboard ledger verify`: compares all wallets with the sums of their ledger entries.

use std::io::{IsTerminal, Write, stderr};

use clap::Subcommand;

use super::cli_error::CliError;
use super::startup::prepare_platform;
use crate::coins::{self, verify_ledger};

/// Looks after the ledger of coins.
#[derive(Subcommand)]
pub enum Ledger {
    /// Reads every entry and tells whether all wallets are the sums of theirs. Ends with 1 when they are not. It may
    /// run while the program serves, and keeps nobody waiting.
    Verify,
}

#[expect(clippy::print_stdout, reason = "the output of the command")]
pub async fn run(command: Ledger) -> Result<(), CliError> {
    let Ledger::Verify = command;
    let (_, platform) = prepare_platform().await?;
    let is_terminal = stderr().is_terminal();
    let report = verify_ledger(&platform, |partial_report| {
        if is_terminal {
            print_progress(partial_report);
        }
    })
    .await;
    if is_terminal {
        overwrite_line("");
    }
    let report = report?;
    println!("accounts: {}", report.wallet_count);
    println!("entries: {}", report.entry_count);
    println!("differences: {}", report.difference_count);
    for difference in &report.differences {
        println!("  {difference}");
    }
    let more = report.difference_count - report.differences.len() as u64;
    if more > 0 {
        println!("  and {more} more");
    }
    match report.is_consistent() {
        true => Ok(()),
        false => Err(CliError(vec!["the ledger does not add up".into()])),
    }
}

fn print_progress(report: &coins::LedgerReport) {
    overwrite_line(&format!(
        "{} entries, {} differences",
        report.entry_count, report.difference_count
    ));
}

/// Replaces the current line of the terminal.
fn overwrite_line(line: &str) {
    let erase_line = "\r\u{1b}[2K";
    let mut terminal = stderr();
    let _ = write!(terminal, "{erase_line}{line}");
    let _ = terminal.flush();
}
