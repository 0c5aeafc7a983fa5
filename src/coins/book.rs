//! Moving coins: the one place that changes a wallet.

use super::entity::coin_entries::{self, Model as Entry, Reason};
use super::entity::wallets;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{CoinEntryId, UserId};
use crate::platform::Platform;
use crate::platform::database::Work;

/// Coins that come or go.
#[derive(Clone, Debug)]
pub struct Movement {
    /// Whose.
    pub user: UserId,
    /// How many come, or go when it is negative. Never 0.
    pub amount: i64,
    /// What for.
    pub reason: Reason,
    /// What it is that they are for: booked once, by whomever.
    pub reference: String,
    /// What an operator says to it.
    pub note: Option<String>,
}

/// Books a movement in the deed's transaction. When that is committed, [`tell`] those who watch.
///
/// # Errors
/// CONFLICT at `amount` when the wallet would hold less than nothing or more than [`super::MOST`], and at
/// `reference` when that was booked before. Roll back then.
pub async fn book(tx: &Work, platform: &Platform, movement: Movement) -> Result<Entry> {
    let Movement { user, amount, reason, reference, note } = movement;
    let now = platform.now();
    let refused = |what: &str, field: &'static str| -> Error {
        Failure::new(ErrorCode::Conflict, what).at(field).into()
    };
    let booked_before = || refused("This was booked before.", "reference");
    let Some(wallet) = wallets::add(tx, user, amount, now).await? else {
        // Coins that were taken already may be what is lacking now.
        let booked = coin_entries::of_references(tx, &[reference]).await?;
        return Err(match booked.is_empty() {
            true => refused("The wallet has too few coins for it, or too many.", "amount"),
            false => booked_before(),
        });
    };
    let entry = Entry {
        user_id: user,
        number: wallet.entries,
        id: platform.new_id::<CoinEntryId>(),
        amount,
        balance_after: wallet.balance,
        reason,
        reference,
        note,
        created_at: now,
    };
    match coin_entries::insert(tx, entry.clone()).await {
        Ok(()) => Ok(entry),
        Err(error) if coin_entries::is_booked(&error) => Err(booked_before()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a movement was refused because the wallet would hold too little or too much. Nothing was changed then.
pub fn is_beyond(error: &Error) -> bool {
    let failure = &error.failures()[0];
    (failure.code, failure.field.as_deref()) == (ErrorCode::Conflict, Some("amount"))
}

/// The topic of somebody's wallet.
pub fn topic(user: UserId) -> String {
    format!("wallet:{user}")
}

/// Tells whoever watches somebody's wallet that it is another. Call it when the change is committed.
pub fn tell(platform: &Platform, user: UserId) {
    platform.events.publish(&topic(user));
}
