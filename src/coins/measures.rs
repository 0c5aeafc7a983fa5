//! Statistics of coins, by reason.

use sea_orm::{ActiveEnum, Iterable};

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
pub const SOURCE: Source = Source {
    table: "coin_entries",
    condition: "true",
    time_column: Some("created_at"),
    dimension: "reason",
    amounts: &[
        (COINS_CREDITED, "SUM(CASE WHEN amount > 0 THEN amount ELSE 0 END)"),
        (COINS_DEBITED, "SUM(CASE WHEN amount < 0 THEN -amount ELSE 0 END)"),
    ],
};
