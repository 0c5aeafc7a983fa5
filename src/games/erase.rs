//! Erasure of a player: expires their open rounds and removes them from all leaderboards. The rounds are kept.

use super::entity::{leaderboard_buckets, leaderboard_rows, leaderboard_state, rounds};
use super::leaderboard_scope::LeaderboardScope;
use super::measures::record_rounds;
use super::sealed_seed::revealed_seed;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::events::announce;

/// Expires a player's open rounds and deletes their leaderboard rows. The commit is published at once, and announced
/// to instances that Redis does not reach.
pub async fn erase(platform: &Platform, tx: &Work, user: UserId) -> Result<()> {
    // Locked before the rounds, in the same order as in `update_leaderboards`: the rounds that an update has claimed
    // are on the leaderboards before the player is removed from them.
    leaderboard_state::lock(tx).await?;
    for round in rounds::find_open(tx, user).await? {
        rounds::set_expired(tx, round.id, revealed_seed(platform, &round)).await?;
    }
    record_rounds(tx, platform, &rounds::mark_all_counted(tx, user).await?).await?;
    for row in leaderboard_rows::delete_by_user(tx, user).await? {
        leaderboard_buckets::decrement(tx, &row.leaderboard_key, row.position()).await?;
    }
    LeaderboardScope::all().for_each(|scope| tx.publish(scope.topic()));
    announce(tx, platform, LeaderboardScope::all().map(LeaderboardScope::topic)).await
}
