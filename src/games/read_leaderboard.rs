//! Reads of a leaderboard: its top rows, and the rank of one user.

use super::entity::leaderboard_rows::{self, Model as LeaderboardRow, RankedRow};
use super::leaderboard_scope::LeaderboardScope;
use super::leaderboard_updater::LeaderboardUpdater;
use crate::error::Result;
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::response_memo::ResponseMemo;

/// The most rows of a leaderboard in one response.
pub const MAX_TOP_ROWS: u8 = 100;

/// The top rows of a leaderboard.
#[derive(Debug)]
pub struct LeaderboardTop {
    /// The key of the leaderboard at the time of reading.
    pub key: String,
    /// The rows, the first rank first.
    pub rows: Vec<LeaderboardRow>,
    /// The people of these rows.
    pub people: Vec<Person>,
    /// All plays that were answered before this time are counted.
    pub counted_up_to: Timestamp,
    /// The responses resolved from these rows.
    pub memo: ResponseMemo,
}

/// A user's row with its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankView {
    /// The user's row.
    pub own: RankedRow,
    /// Up to two rows ahead, the user's row, and up to two rows behind.
    pub around: Vec<RankedRow>,
}

/// Reads the top rows of a leaderboard as of now.
pub async fn read_top(
    updater: &LeaderboardUpdater,
    platform: &Platform,
    scope: LeaderboardScope,
    max_rows: u64,
) -> Result<LeaderboardTop> {
    // Read first, so that the rows may be newer than this time but never older.
    let counted_up_to = updater.counted_up_to(platform).await?;
    let (db, now) = (platform.database.reads(), platform.now());
    let key = scope.key_at(now);
    let mut rows = leaderboard_rows::find_top(db, &key, max_rows).await?;
    let users: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
    let people = people::find_by_ids(db, &users).await?;
    // Users who were deleted between the two queries have a row but no person.
    rows.retain(|row| people.iter().any(|person| person.id == row.user_id));
    Ok(LeaderboardTop { key, rows, people, counted_up_to, memo: ResponseMemo::default() })
}

/// Reads a user's rank on the leaderboard with this key. None: the user has no counted round.
pub async fn read_rank(platform: &Platform, key: &str, user: UserId) -> Result<Option<RankView>> {
    let around = leaderboard_rows::find_around(platform.database.reads(), key, user).await?;
    let own = around.iter().find(|ranked| ranked.row.user_id == user).cloned();
    Ok(own.map(|own| RankView { own, around }))
}
