//! `switchboard ledger verify`

use std::io::{IsTerminal, Write, stderr};

use clap::Subcommand;

use super::{Complaint, prepared};
use crate::coins::{self, verify};

/// Looks after the ledger of coins.
#[derive(Subcommand)]
pub enum Ledger {
    /// Reads every entry and tells whether all wallets are the sums of theirs. Ends with 1 when they are not. It may
    /// run while the program serves, and keeps nobody waiting.
    Verify,
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub async fn run(what: Ledger) -> Result<(), Complaint> {
    let Ledger::Verify = what;
    let (_, platform) = prepared().await?;
    let is_watched = stderr().is_terminal();
    let found = verify(&platform, |so_far| {
        if is_watched {
            progress(so_far);
        }
    })
    .await;
    if is_watched {
        overwrite("");
    }
    let ledger = found?;
    println!("accounts: {}", ledger.accounts);
    println!("entries: {}", ledger.entries);
    println!("differences: {}", ledger.wrong);
    for difference in &ledger.differences {
        println!("  {difference}");
    }
    let more = ledger.wrong - ledger.differences.len() as u64;
    if more > 0 {
        println!("  and {more} more");
    }
    match ledger.is_consistent() {
        true => Ok(()),
        false => Err(Complaint(vec!["the ledger does not add up".into()])),
    }
}

fn progress(so_far: &coins::Ledger) {
    overwrite(&format!("{} entries, {} differences", so_far.entries, so_far.wrong));
}

/// Writes the one line of a terminal anew.
fn overwrite(line: &str) {
    let erase_the_line = "\r\u{1b}[2K";
    let mut terminal = stderr();
    let _ = write!(terminal, "{erase_the_line}{line}");
    let _ = terminal.flush();
}
