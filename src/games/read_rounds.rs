//! Reads of a user's rounds. Overdue rounds are expired before they are returned.

use super::entity::rounds::{self, GameKind, Model as Round, Status};
use super::expire::expire_overdue;
use crate::error::{Error, Result};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;

/// Finds one of a user's rounds.
///
/// # Errors
/// NOT_FOUND, also for a round of another user.
pub async fn find_round(platform: &Platform, user: UserId, id: Option<RoundId>) -> Result<Round> {
    let not_found = || Error::not_found("round");
    let (db, id) = (platform.database.reads(), id.ok_or_else(not_found)?);
    let mut round = rounds::find_owned(db, user, id).await?;
    if expire_if_overdue(platform, round.as_slice()).await? {
        round = rounds::find_owned(db, user, id).await?;
    }
    round.ok_or_else(not_found)
}

/// Lists a user's rounds, of one game or of all, newest first, starting after a round.
pub async fn list_rounds(
    platform: &Platform,
    user: UserId,
    game: Option<GameKind>,
    after: Option<RoundId>,
    limit: u64,
) -> Result<Vec<Round>> {
    let db = platform.database.reads();
    let mut page = rounds::find_page(db, user, game, after, limit).await?;
    if expire_if_overdue(platform, &page).await? {
        page = rounds::find_page(db, user, game, after, limit).await?;
    }
    Ok(page)
}

/// Expires the user's overdue rounds if one of these is overdue but still stored as open. Returns whether they must be
/// read again.
///
/// The expiry must be stored before the seed is shown: an instance whose clock is slow would otherwise accept a play
/// from a player who has seen the seed.
pub(super) async fn expire_if_overdue(platform: &Platform, rounds: &[Round]) -> Result<bool> {
    let now = platform.now();
    let is_overdue = |round: &&Round| round.status == Status::Open && round.expires_at <= now;
    let Some(overdue) = rounds.iter().find(is_overdue) else { return Ok(false) };
    expire_overdue(platform, Some(overdue.user_id)).await?;
    Ok(true)
}
