//! Proving the ledger: every wallet is the sum of its entries, each of which goes on from the balance before it, and
//! none is missing or of nobody.
//!
//! It is read in pieces while it goes on. A wallet says how many entries made it, so those that came since it
//! was read are left out, and nothing has to stand still.

use std::collections::HashMap;

use super::entity::{coin_entries, wallets};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;

/// How many wallets are held in memory.
const WALLETS: u64 = 1_000;
/// How many entries are read by one statement.
const ENTRIES: u64 = 5_000;
/// How many differences are told in words.
const TOLD: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// How many wallets there are.
    pub accounts: u64,
    /// How many entries they have.
    pub entries: u64,
    /// How many of either are wrong.
    pub wrong: u64,
    /// The first of them, in words.
    pub differences: Vec<String>,
}

impl Ledger {
    /// Whether everything adds up.
    pub fn is_consistent(&self) -> bool {
        self.wrong == 0
    }

    fn differs(&mut self, user: UserId, how: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.differences.len() < TOLD {
            self.differences.push(format!("{user}: {}", how()));
        }
    }
}

/// A wallet, and what its entries came to so far.
struct Account {
    wallet: wallets::Model,
    number: i64,
    balance: i64,
    /// The last of the entries that came since the wallet was read.
    newer: Option<i64>,
}

impl Account {
    fn begun(wallet: wallets::Model) -> Self {
        Self { wallet, number: 0, balance: 0, newer: None }
    }
}

/// Reads everything once. `told` is called now and then with what was found so far.
///
/// # Errors
/// Those of the database.
pub async fn verify(platform: &Platform, mut told: impl FnMut(&Ledger)) -> Result<Ledger> {
    let db = platform.database.reads();
    let mut ledger = Ledger::default();
    let mut after: Option<UserId> = None;
    loop {
        let page = wallets::page(db, after, WALLETS).await?;
        let until = page.last().map(|wallet| wallet.user_id);
        ledger.accounts += page.len() as u64;
        let mut accounts: HashMap<UserId, Account> =
            page.into_iter().map(|wallet| (wallet.user_id, Account::begun(wallet))).collect();
        // Every user's entries are above number 0.
        let mut place = after.map(|user| (user, i64::MAX));
        loop {
            let steps = coin_entries::steps(db, place, until, ENTRIES).await?;
            let Some(last) = steps.last() else { break };
            place = Some((last.0, last.1));
            for step in steps {
                account_for(&mut ledger, &mut accounts, step);
            }
            told(&ledger);
        }
        for account in accounts.into_values() {
            settle(platform, &mut ledger, account).await?;
        }
        if until.is_none() {
            ledger.differences.sort();
            return Ok(ledger);
        }
        after = until;
    }
}

fn account_for(
    ledger: &mut Ledger,
    accounts: &mut HashMap<UserId, Account>,
    (user, number, amount, balance_after): coin_entries::Step,
) {
    // Whoever had no wallet when they were read has got one since, or never had one.
    let account = accounts.entry(user).or_insert_with(|| Account::begun(wallets::none(user)));
    if number > account.wallet.entries {
        account.newer = Some(number);
        return;
    }
    ledger.entries += 1;
    if number != account.number + 1 {
        let expected = account.number + 1;
        ledger.differs(user, || format!("entry {number} stands where {expected} should"));
    }
    if account.balance.checked_add(amount) != Some(balance_after) || balance_after < 0 {
        let before = account.balance;
        ledger.differs(user, || {
            format!("entry {number} says {balance_after} after {before} and {amount}")
        });
    }
    (account.number, account.balance) = (number, balance_after);
}

async fn settle(platform: &Platform, ledger: &mut Ledger, account: Account) -> Result<()> {
    let Account { wallet, number, balance, newer } = account;
    let user = wallet.user_id;
    if number != wallet.entries {
        let says = wallet.entries;
        ledger.differs(user, || {
            format!("the wallet says {says} entries, of which the last is {number}")
        });
    }
    if balance != wallet.balance {
        let says = wallet.balance;
        ledger.differs(user, || format!("the wallet holds {says}, its entries come to {balance}"));
    }
    if let Some(newer) = newer {
        let now = wallets::of(platform.database.reads(), user).await?;
        if now.is_none_or(|now| now.entries < newer) {
            ledger.differs(user, || format!("entry {newer} is none of the wallet's"));
        }
    }
    Ok(())
}
