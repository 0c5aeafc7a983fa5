//! Posting of many credits at once, by a few statements for each few thousand of them.
//!
//! The result is the same as that of posting them one by one with [`post`](super::post), except that a credit that a
//! wallet cannot take also keeps the later ones of that wallet out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::entity::coin_entries::{self, EntryReason, NewEntry};
use super::entity::wallets::{self, MAX_BALANCE, NewState};
use super::measures::delta;
use super::posting::wallet_topic;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{CoinEntryId, Id, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{MAX_ROWS, RowUuid, Work, plan_each_statement};
use crate::platform::statistics;

/// How often a batch is computed again because another transaction changed what it had read.
const MAX_TRIES: usize = 5;

/// Coins to add to a wallet.
#[derive(Clone, Debug)]
pub struct Credit {
    /// Owner of the wallet. Must exist.
    pub user: UserId,
    /// Amount that is added.
    pub amount: i64,
    /// Unique reference to the cause, without a NUL character. A reference is posted at most once.
    pub reference: String,
}

/// What became of a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditOutcome {
    /// It was posted.
    Posted,
    /// Its reference was posted before, perhaps by the same batch. Nothing was changed.
    Repeated,
    /// The amount is not positive, the balance would exceed [`MAX_BALANCE`], or an earlier credit of the batch to the same
    /// wallet was out of range. Nothing was changed.
    OutOfRange,
}

/// Posts credits in the caller's transaction. The commit is published to the watchers of the changed wallets. Returns an
/// outcome for each credit, in their order; none of them makes the transaction fail.
///
/// # Errors
/// SERVICE_UNAVAILABLE if other transactions keep posting the same credits.
pub async fn post_many(
    tx: &Work,
    platform: &Platform,
    reason: EntryReason,
    credits: &[Credit],
) -> Result<Vec<CreditOutcome>> {
    plan_each_statement(tx).await?;
    for _ in 0..MAX_TRIES {
        let savepoint = tx.savepoint().await?;
        let mut batch = Batch::read(&savepoint, credits).await?;
        let outcomes = credits.iter().map(|credit| batch.apply(platform, credit)).collect();
        let (now, amount) = (platform.now(), batch.entries.iter().map(|entry| entry.amount).sum());
        if batch.write(&savepoint, reason, now).await? {
            statistics::record(&savepoint, platform, [delta(reason, amount, now)]).await?;
            savepoint.release().await?;
            return Ok(outcomes);
        }
        savepoint.rollback().await?;
    }
    let message = "The same coins are being booked elsewhere. Try again.";
    Err(Error::new(ErrorCode::ServiceUnavailable, message))
}

/// The wallets and references of a batch, and what it adds to them.
struct Batch<'a> {
    /// In the order of their owners, in which they are locked.
    wallets: BTreeMap<UserId, WalletState>,
    /// The references that were posted before, and those of the batch.
    posted: HashSet<Cow<'a, str>>,
    entries: Vec<NewEntry<'a>>,
}

struct WalletState {
    balance: i64,
    entry_count: i64,
    is_new: bool,
    is_changed: bool,
    /// Whether it could not take a credit of the batch.
    is_closed: bool,
}

impl<'a> Batch<'a> {
    /// Locks the wallets, in the order of their owners so that no two batches wait for each other, and reads which
    /// references were posted.
    async fn read(tx: &Work, credits: &'a [Credit]) -> Result<Self> {
        let owners: BTreeSet<UserId> = credits.iter().map(|credit| credit.user).collect();
        let new_wallet = || WalletState {
            balance: 0,
            entry_count: 0,
            is_new: true,
            is_changed: false,
            is_closed: false,
        };
        let mut wallets: BTreeMap<_, _> =
            owners.iter().map(|owner| (*owner, new_wallet())).collect();
        let owners: Vec<UserId> = owners.into_iter().collect();
        for owners in owners.chunks(MAX_ROWS) {
            for row in wallets::lock_many(tx, owners).await? {
                let (balance, entry_count) = (row.balance, row.entry_count);
                let state = WalletState { balance, entry_count, is_new: false, ..new_wallet() };
                wallets.insert(row.user_id, state);
            }
        }
        let mut posted = HashSet::new();
        let references: Vec<&str> =
            credits.iter().map(|credit| credit.reference.as_str()).collect();
        for references in references.chunks(MAX_ROWS) {
            let found = coin_entries::find_posted(tx, references).await?;
            posted.extend(found.into_iter().map(Cow::Owned));
        }
        Ok(Self { wallets, posted, entries: Vec::new() })
    }

    /// Adds a credit to its wallet, if that can take it.
    fn apply(&mut self, platform: &Platform, credit: &'a Credit) -> CreditOutcome {
        let Credit { user, amount, reference } = credit;
        if self.posted.contains(reference.as_str()) {
            return CreditOutcome::Repeated;
        }
        let wallet = self.wallets.get_mut(user).expect("the wallet of each credit was read");
        let fits = *amount > 0 && *amount <= MAX_BALANCE - wallet.balance;
        if wallet.is_closed || !fits {
            wallet.is_closed = true;
            return CreditOutcome::OutOfRange;
        }
        wallet.balance += amount;
        wallet.entry_count += 1;
        wallet.is_changed = true;
        self.posted.insert(Cow::Borrowed(reference));
        self.entries.push(NewEntry {
            user_id: RowUuid(user.uuid()),
            number: wallet.entry_count,
            id: RowUuid(platform.new_id::<CoinEntryId>().uuid()),
            amount: *amount,
            balance_after: wallet.balance,
            reference,
        });
        CreditOutcome::Posted
    }

    /// Writes the wallets, then the entries. Returns false if another transaction has added one of the wallets or posted
    /// one of the references meanwhile: then nothing of it may be kept.
    async fn write(mut self, tx: &Work, reason: EntryReason, now: Timestamp) -> Result<bool> {
        let changed = self.wallets.iter().filter(|(_, wallet)| wallet.is_changed);
        let to_row = |(user, wallet): (&UserId, &WalletState)| NewState {
            user_id: RowUuid(user.uuid()),
            balance: wallet.balance,
            entry_count: wallet.entry_count,
        };
        let (new, existing): (Vec<_>, Vec<_>) = changed.partition(|(_, wallet)| wallet.is_new);
        for (user, _) in new.iter().chain(&existing) {
            tx.publish(wallet_topic(**user));
        }
        let (new, existing): (Vec<NewState>, Vec<NewState>) =
            (new.into_iter().map(to_row).collect(), existing.into_iter().map(to_row).collect());
        for states in existing.chunks(MAX_ROWS) {
            wallets::update_many(tx, states, now).await?;
        }
        for states in new.chunks(MAX_ROWS) {
            if !wallets::insert_many(tx, states, now).await? {
                return Ok(false);
            }
        }
        // In one order for all batches, as a reference that another transaction is posting makes this one wait.
        self.entries.sort_unstable_by_key(|entry| entry.reference);
        for entries in self.entries.chunks(MAX_ROWS) {
            if !coin_entries::insert_many(tx, entries, reason, now).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
