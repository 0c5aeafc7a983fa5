//! Starts a round: generates its seed and shows the player the seed's hash.

use std::time::Duration;

use super::entity::rounds::{self, GameKind, Model as Round, Status};
use super::expire::expire_overdue;
use super::provably_fair::Seed;
use super::sealed_seed::seal_seed;
use super::state::Games;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{RoundId, UserId};
use crate::platform::Platform;
use crate::platform::vault::sha256;

/// How long a round can be played.
pub(super) const ROUND_LIFETIME: Duration = Duration::from_mins(5);

/// Starts a round of a game for a user.
///
/// # Errors
/// RATE_LIMITED when the user has as many open rounds as allowed.
pub async fn start_round(
    games: &Games,
    platform: &Platform,
    user: UserId,
    game: GameKind,
) -> Result<Round> {
    let slots = games.max_open_rounds;
    // A random slot first: few users have many open rounds, so it is most likely free, and concurrent starts rarely
    // try the same one.
    let random_slot = 1 + i16::from_be_bytes(platform.random()).rem_euclid(slots);
    if let Some(round) = start_in_slot(platform, user, game, random_slot).await? {
        return Ok(round);
    }
    for is_last_try in [false, true] {
        if is_last_try {
            expire_overdue(platform, Some(user)).await?;
        }
        let occupied = rounds::find_used_slots(platform.database.reads(), user).await?;
        let from_random = (random_slot..=slots).chain(1..random_slot);
        for slot in from_random.filter(|slot| !occupied.contains(slot)) {
            if let Some(round) = start_in_slot(platform, user, game, slot).await? {
                return Ok(round);
            }
        }
    }
    Err(too_many_open_rounds(platform, user).await?)
}

/// Starts a round in a slot. None: the slot is used.
async fn start_in_slot(
    platform: &Platform,
    user: UserId,
    game: GameKind,
    slot: i16,
) -> Result<Option<Round>> {
    let round = new_round(platform, user, game, slot);
    let is_inserted = rounds::insert(platform.database.writes(), round.clone()).await?;
    Ok(is_inserted.then_some(round))
}

async fn too_many_open_rounds(platform: &Platform, user: UserId) -> Result<Error> {
    let next_expiry = rounds::find_next_expiry(platform.database.reads(), user).await?;
    let wait = next_expiry.and_then(|at| (at - platform.now()).to_std().ok()).unwrap_or_default();
    let error = UserError::new(
        ErrorCode::RateLimited,
        "You have as many open rounds as you may. Play one of them, or try again later.",
    );
    Ok(UserError { retry_after: Some(wait), ..error }.into())
}

fn new_round(platform: &Platform, user: UserId, game: GameKind, slot: i16) -> Round {
    let (id, seed): (RoundId, Seed) = (platform.new_id(), platform.random());
    let now = platform.now();
    Round {
        id,
        user_id: user,
        game,
        status: Status::Open,
        slot: Some(slot),
        seed_hash: sha256(&seed).to_vec(),
        sealed_seed: Some(seal_seed(platform, id, &seed)),
        seed: None,
        client_seed: None,
        r#move: None,
        outcome: None,
        won: None,
        points: None,
        is_counted: true,
        started_at: now,
        expires_at: now + ROUND_LIFETIME,
        played_at: None,
    }
}
