//! Erasure of a player: open rounds expire, and all leaderboards lose them. Their rounds stay, of a deleted user.

use super::entity::{leaderboard_buckets, leaderboard_rows, leaderboard_state, rounds};
use super::leaderboard_scope::LeaderboardScope;
use super::sealed_seed::revealed_seed;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::events::announce;

/// Expires a player's open rounds and deletes their leaderboard rows. Other instances notify their watchers within
/// a second; call [`publish_all_leaderboards`] after the commit to notify those of this instance at once.
pub async fn erase(platform: &Platform, tx: &Work, user: UserId) -> Result<()> {
    // Locked before the rounds, in the same order as the update of the leaderboards: what that has claimed is on the
    // leaderboards before they are cleaned.
    leaderboard_state::lock(tx).await?;
    for round in rounds::find_open(tx, user).await? {
        rounds::set_expired(tx, round.id, revealed_seed(platform, &round)).await?;
    }
    rounds::mark_all_counted(tx, user).await?;
    for row in leaderboard_rows::delete_of(tx, user).await? {
        leaderboard_buckets::decrement(tx, &row.leaderboard_key, row.position()).await?;
    }
    announce(tx, platform, LeaderboardScope::all().map(LeaderboardScope::topic)).await
}

/// Notifies the watchers of all leaderboards.
pub fn publish_all_leaderboards(platform: &Platform) {
    LeaderboardScope::all().for_each(|scope| platform.events.publish(&scope.topic()));
}
