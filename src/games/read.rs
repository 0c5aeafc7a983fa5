//! Reads of a user's rounds. A round whose time is over expires before it is returned.

use super::entity::rounds::{self, Model as Round, Status};
use super::expire::expire_rounds;
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
    if expire_if_due(platform, round.as_slice()).await? {
        round = rounds::find_owned(db, user, id).await?;
    }
    round.ok_or_else(not_found)
}

/// Lists a user's rounds, newest first, starting after a round.
pub async fn list_rounds(
    platform: &Platform,
    user: UserId,
    after: Option<RoundId>,
    limit: u64,
) -> Result<Vec<Round>> {
    let db = platform.database.reads();
    let mut page = rounds::find_page(db, user, after, limit).await?;
    if expire_if_due(platform, &page).await? {
        page = rounds::find_page(db, user, after, limit).await?;
    }
    Ok(page)
}

/// Expires the user's overdue rounds if one of these is overdue but still stored as open. True: read them again.
///
/// The seed must not be shown before that is stored: an instance whose clock is behind would still accept a play
/// from a player who has seen it.
pub(super) async fn expire_if_due(platform: &Platform, rounds: &[Round]) -> Result<bool> {
    let now = platform.now();
    let is_overdue = |round: &&Round| round.status == Status::Open && round.expires_at <= now;
    let Some(overdue) = rounds.iter().find(is_overdue) else { return Ok(false) };
    expire_rounds(platform, Some(overdue.user_id)).await?;
    Ok(true)
}
