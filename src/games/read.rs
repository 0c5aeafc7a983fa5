//! Reading rounds, as they are at the time.

use super::entity::rounds::{self, Model as Round, Status};
use super::expire::expire;
use crate::error::{Error, Result};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;

/// One of somebody's rounds.
///
/// # Errors
/// NOT_FOUND when it is not theirs.
pub async fn round(platform: &Platform, user: UserId, id: Option<RoundId>) -> Result<Round> {
    let unknown = || Error::not_found("round");
    let (db, id) = (platform.database.reads(), id.ok_or_else(unknown)?);
    let mut round = rounds::by_id(db, user, id).await?;
    if ended(platform, round.as_slice()).await? {
        round = rounds::by_id(db, user, id).await?;
    }
    round.ok_or_else(unknown)
}

/// Some of somebody's rounds, the newest first, after one.
///
/// # Errors
/// Those of the database.
pub async fn page(
    platform: &Platform,
    user: UserId,
    after: Option<RoundId>,
    most: u64,
) -> Result<Vec<Round>> {
    let db = platform.database.reads();
    let mut page = rounds::page(db, user, after, most).await?;
    if ended(platform, &page).await? {
        page = rounds::page(db, user, after, most).await?;
    }
    Ok(page)
}

/// Ends somebody's rounds when the time of one of these is over and that is not written. True: read them again.
///
/// No seed is shown before: another instance, whose clock is behind, would take a play of whoever has seen it.
pub(super) async fn ended(platform: &Platform, rounds: &[Round]) -> Result<bool> {
    let now = platform.now();
    let is_over = |round: &&Round| round.status == Status::Open && round.expires_at <= now;
    let Some(over) = rounds.iter().find(is_over) else { return Ok(false) };
    expire(platform, Some(over.user_id)).await?;
    Ok(true)
}
