//! Statistics of coins, by reason.

use sea_orm::{ActiveEnum, ConnectionTrait, Iterable};

use super::entity::coin_entries::{self, EntryReason};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::{self, Delta, Source};

/// Coins that were added.
pub const COINS_CREDITED: &str = "coins_credited";
/// Coins that were removed.
pub const COINS_DEBITED: &str = "coins_debited";

/// All reasons, with their names in statistics.
pub fn reasons() -> impl Iterator<Item = (EntryReason, String)> {
    EntryReason::iter().map(|reason| (reason, reason.to_value()))
}

/// What an entry changes.
pub(super) fn delta(reason: EntryReason, amount: i64, at: Timestamp) -> Delta {
    let measure = if amount > 0 { COINS_CREDITED } else { COINS_DEBITED };
    Delta::at(at, measure, reason.to_value(), amount.abs())
}

/// Records the rewards of rounds, by their references: for many rounds together, so that no play waits for it. Each must
/// be recorded once.
pub async fn record_rewards(tx: &Work, platform: &Platform, references: &[String]) -> Result<()> {
    let rewards = coin_entries::find_amounts(tx, references).await?;
    let deltas = rewards.into_iter().map(|(amount, at)| delta(EntryReason::GameReward, amount, at));
    statistics::record(tx, platform, deltas).await
}

/// How the rows are counted again.
pub fn sources(tx: &Work) -> [Source; 2] {
    let backend = tx.get_database_backend();
    let source = |measure, rows, amount, measures| {
        Source::new(backend, "created_at", &[(measure, "reason", amount)], rows, measures)
    };
    let (credits, debits) = ("coin_entries WHERE amount > 0", "coin_entries WHERE amount < 0");
    [
        source(COINS_CREDITED, credits, "SUM(amount)", &[COINS_CREDITED]),
        source(COINS_DEBITED, debits, "-SUM(amount)", &[COINS_DEBITED]),
    ]
}
