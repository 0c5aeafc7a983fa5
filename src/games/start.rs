//! Starting a round: its seed is drawn, and its hash is shown.

use super::entity::rounds::{self, GameKind, Model as Round, Status};
use super::expire::expire;
use super::fair::Seed;
use super::seal::seal;
use super::{Games, LIVES};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;
use crate::platform::vault::sha256;

/// Starts a round of a game for somebody.
///
/// # Errors
/// RATE_LIMITED while they have as many open as they may.
pub async fn start(
    games: &Games,
    platform: &Platform,
    user: UserId,
    game: GameKind,
) -> Result<Round> {
    let slots = games.open_rounds;
    // Several that are started at once rarely want the same slot, and never get it. Hardly anybody has many open:
    // whichever slot it is, it is likely free.
    let any = 1 + i16::from_be_bytes(platform.random()).rem_euclid(slots);
    if let Some(round) = start_in(platform, user, game, any).await? {
        return Ok(round);
    }
    for is_last_try in [false, true] {
        if is_last_try {
            expire(platform, Some(user)).await?;
        }
        let taken = rounds::slots_of(platform.database.reads(), user).await?;
        for slot in (any..=slots).chain(1..any).filter(|slot| !taken.contains(slot)) {
            if let Some(round) = start_in(platform, user, game, slot).await? {
                return Ok(round);
            }
        }
    }
    Err(too_many(platform, user).await?)
}

/// Starts one in a slot. None: another has it.
async fn start_in(
    platform: &Platform,
    user: UserId,
    game: GameKind,
    slot: i16,
) -> Result<Option<Round>> {
    let round = new(platform, user, game, slot);
    let is_written = rounds::insert(platform.database.writes(), round.clone()).await?;
    Ok(is_written.then_some(round))
}

async fn too_many(platform: &Platform, user: UserId) -> Result<Error> {
    let next = rounds::next_expiry(platform.database.reads(), user).await?;
    let wait = next.and_then(|at| (at - platform.now()).to_std().ok()).unwrap_or_default();
    let failure = Failure::new(
        ErrorCode::RateLimited,
        "You have as many open rounds as you may. Play one of them, or try again later.",
    );
    Ok(Failure { retry_after: Some(wait), ..failure }.into())
}

fn new(platform: &Platform, user: UserId, game: GameKind, slot: i16) -> Round {
    let (id, seed): (RoundId, Seed) = (platform.new_id(), platform.random());
    let now = platform.now();
    Round {
        id,
        user_id: user,
        game,
        status: Status::Open,
        slot: Some(slot),
        seed_hash: sha256(&seed).to_vec(),
        sealed_seed: Some(seal(platform, id, &seed)),
        seed: None,
        client_seed: None,
        r#move: None,
        outcome: None,
        won: None,
        points: None,
        is_tallied: true,
        started_at: now,
        expires_at: now + LIVES,
        played_at: None,
    }
}
