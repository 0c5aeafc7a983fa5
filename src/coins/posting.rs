//! Posting of coins: the only code that changes a wallet. Also has the wallet's event topic.

use super::entity::coin_entries::{self, EntryReason, Model as Entry};
use super::entity::wallets;
use super::measures::delta;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{CoinEntryId, UserId};
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::statistics;

/// A change of a wallet, to be posted.
#[derive(Clone, Debug)]
pub struct Posting {
    /// Owner of the wallet.
    pub user: UserId,
    /// Amount that is added, or removed if negative. Never 0.
    pub amount: i64,
    /// Reason of the posting.
    pub reason: EntryReason,
    /// Unique reference to the cause, such as a round's id. A reference is posted at most once.
    pub reference: String,
    /// Explanation by an operator.
    pub note: Option<String>,
}

/// Posts a change in the caller's transaction. Its commit is published to the watchers of the wallet.
///
/// # Errors
/// CONFLICT at `amount` if the balance would be negative or above [`MAX_BALANCE`](super::MAX_BALANCE), and at
/// `reference` if it was posted before. Roll back the transaction then.
pub async fn post(tx: &Work, platform: &Platform, posting: Posting) -> Result<Entry> {
    let Posting { user, amount, reason, reference, note } = posting;
    let now = platform.now();
    let conflict = |message: &str, field: &'static str| -> Error {
        UserError::new(ErrorCode::Conflict, message).for_field(field).into()
    };
    let already_posted = || conflict("This was booked before.", "reference");
    let Some(wallet) = wallets::change_balance(tx, user, amount, now).await? else {
        // A repeated debit may fail because the first one took the coins: report the duplicate.
        let existing = coin_entries::find_by_references(tx, &[reference]).await?;
        return Err(match existing.is_empty() {
            true => conflict("The wallet has too few coins for it, or too many.", "amount"),
            false => already_posted(),
        });
    };
    let entry = Entry {
        user_id: user,
        number: wallet.entry_count,
        id: platform.new_id::<CoinEntryId>(),
        amount,
        balance_after: wallet.balance,
        reason,
        reference,
        note,
        created_at: now,
    };
    match coin_entries::insert(tx, entry.clone()).await {
        Ok(()) => {
            tx.publish(wallet_topic(user));
            // Rewards are recorded with their rounds.
            if reason != EntryReason::GameReward {
                statistics::record(tx, platform, [delta(reason, amount, now)]).await?;
            }
            Ok(entry)
        }
        Err(error) if coin_entries::is_duplicate_reference(&error) => Err(already_posted()),
        Err(error) => Err(error.into()),
    }
}

/// Whether [`post`] failed because the balance would be out of range. Nothing was changed then.
pub fn is_out_of_range(error: &Error) -> bool {
    let user_error = &error.user_errors()[0];
    (user_error.code, user_error.field.as_deref()) == (ErrorCode::Conflict, Some("amount"))
}

/// Topic of a user's wallet.
pub fn wallet_topic(user: UserId) -> String {
    format!("wallet:{user}")
}
