//! Reading rounds, as they are at the time.

use super::entity::rounds::{self, Model as Round, Status};
use super::play::open;
use crate::error::{Error, Result};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;

/// One of somebody's rounds.
///
/// # Errors
/// NOT_FOUND when it is not theirs.
pub async fn round(platform: &Platform, user: UserId, id: Option<RoundId>) -> Result<Round> {
    let unknown = || Error::not_found("round");
    let id = id.ok_or_else(unknown)?;
    let round = rounds::by_id(platform.database.reads(), user, id).await?;
    as_it_is(platform, round.ok_or_else(unknown)?)
}

/// Some of somebody's rounds, the newest first, after one.
///
/// # Errors
/// Those of the database.
pub async fn page(
    platform: &Platform,
    user: UserId,
    after: Option<RoundId>,
    rows: u64,
) -> Result<Vec<Round>> {
    let rounds = rounds::page(platform.database.reads(), user, after, rows).await?;
    rounds.into_iter().map(|round| as_it_is(platform, round)).collect()
}

/// A round whose time is over is EXPIRED, and its seed shown, also before that is written.
pub(super) fn as_it_is(platform: &Platform, round: Round) -> Result<Round> {
    if round.status != Status::Open || round.expires_at > platform.now() {
        return Ok(round);
    }
    let seed = open(platform, &round)?;
    Ok(Round { status: Status::Expired, seed: Some(seed.to_vec()), ..round })
}
