//! Verification of the ledger: every wallet is the sum of its entries, each entry continues the balance before it,
//! and no entry is missing or without a wallet.
//!
//! The ledger is read in batches while it grows. A wallet stores its number of entries, so entries that were posted
//! after the wallet was read are recognised and skipped.

use std::collections::HashMap;

use super::entity::{coin_entries, wallets};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;

/// Wallets per batch, held in memory.
const WALLET_BATCH_SIZE: u64 = 1_000;
/// Entries per statement.
const ENTRY_BATCH_SIZE: u64 = 5_000;
/// Maximum number of differences that are described.
const MAX_DIFFERENCES: usize = 100;

/// Result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// Number of wallets.
    pub wallet_count: u64,
    /// Number of entries.
    pub entry_count: u64,
    /// Number of differences.
    pub difference_count: u64,
    /// Descriptions of the first differences.
    pub differences: Vec<String>,
}

impl LedgerReport {
    /// Whether no difference was found.
    pub fn is_consistent(&self) -> bool {
        self.difference_count == 0
    }

    fn add_difference(&mut self, user: UserId, describe: impl FnOnce() -> String) {
        self.difference_count += 1;
        if self.differences.len() < MAX_DIFFERENCES {
            self.differences.push(format!("{user}: {}", describe()));
        }
    }
}

/// A wallet and the running total of its entries.
struct RunningTotal {
    wallet: wallets::Model,
    last_number: i64,
    balance: i64,
    /// Number of the last entry that was posted after the wallet was read.
    newer_entry: Option<i64>,
}

impl RunningTotal {
    fn new(wallet: wallets::Model) -> Self {
        Self { wallet, last_number: 0, balance: 0, newer_entry: None }
    }
}

/// Verifies the whole ledger. `on_progress` is called after each batch.
pub async fn verify_ledger(
    platform: &Platform,
    mut on_progress: impl FnMut(&LedgerReport),
) -> Result<LedgerReport> {
    let db = platform.database.reads();
    let mut report = LedgerReport::default();
    let mut after: Option<UserId> = None;
    loop {
        let batch = wallets::find_page(db, after, WALLET_BATCH_SIZE).await?;
        let last_user = batch.last().map(|wallet| wallet.user_id);
        report.wallet_count += batch.len() as u64;
        let mut totals: HashMap<UserId, RunningTotal> =
            batch.into_iter().map(|wallet| (wallet.user_id, RunningTotal::new(wallet))).collect();
        // Start after all entries of the previous batch's last user.
        let mut position = after.map(|user| (user, i64::MAX));
        loop {
            let rows =
                coin_entries::list_ledger_rows(db, position, last_user, ENTRY_BATCH_SIZE).await?;
            let Some(last) = rows.last() else { break };
            position = Some((last.0, last.1));
            for row in rows {
                check_entry(&mut report, &mut totals, row);
            }
            on_progress(&report);
        }
        for total in totals.into_values() {
            check_wallet(platform, &mut report, total).await?;
        }
        if last_user.is_none() {
            report.differences.sort();
            return Ok(report);
        }
        after = last_user;
    }
}

fn check_entry(
    report: &mut LedgerReport,
    totals: &mut HashMap<UserId, RunningTotal>,
    (user, number, amount, balance_after): coin_entries::LedgerRow,
) {
    // A wallet that is not in the batch was created later or is missing: `check_wallet` distinguishes these cases.
    let total = totals.entry(user).or_insert_with(|| RunningTotal::new(wallets::empty(user)));
    if number > total.wallet.entry_count {
        total.newer_entry = Some(number);
        return;
    }
    report.entry_count += 1;
    if number != total.last_number + 1 {
        let expected = total.last_number + 1;
        report.add_difference(user, || format!("entry {number} stands where {expected} should"));
    }
    if total.balance.checked_add(amount) != Some(balance_after) || balance_after < 0 {
        let before = total.balance;
        report.add_difference(user, || {
            format!("entry {number} says {balance_after} after {before} and {amount}")
        });
    }
    (total.last_number, total.balance) = (number, balance_after);
}

async fn check_wallet(
    platform: &Platform,
    report: &mut LedgerReport,
    total: RunningTotal,
) -> Result<()> {
    let RunningTotal { wallet, last_number, balance, newer_entry } = total;
    let user = wallet.user_id;
    if last_number != wallet.entry_count {
        let entry_count = wallet.entry_count;
        report.add_difference(user, || {
            format!("the wallet says {entry_count} entries, of which the last is {last_number}")
        });
    }
    if balance != wallet.balance {
        let stored = wallet.balance;
        report.add_difference(user, || {
            format!("the wallet holds {stored}, its entries come to {balance}")
        });
    }
    if let Some(newer_entry) = newer_entry {
        let current = wallets::find_by_user(platform.database.reads(), user).await?;
        if current.is_none_or(|wallet| wallet.entry_count < newer_entry) {
            report.add_difference(user, || format!("entry {newer_entry} is none of the wallet's"));
        }
    }
    Ok(())
}
