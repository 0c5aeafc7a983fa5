//! Starting a round: its seed is drawn, and its hash is shown.

use super::entity::rounds::{self, GameKind, Model as Round, Status};
use super::expire::expire;
use super::fair::Seed;
use super::{Games, LIVES};
use crate::error::{Error, Result};
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
    let most = usize::try_from(games.open_rounds).unwrap_or(0);
    // Several that are started at once rarely want the same slot, and never get it.
    let first = usize::from(u16::from_be_bytes(platform.random()));
    // Hardly anybody has many open: whichever slot it is, it is likely free.
    if let Some(slot) = (1..=games.open_rounds).nth(first % most.max(1))
        && let Some(round) = open(platform, user, game, slot).await?
    {
        return Ok(round);
    }
    let db = platform.database.reads();
    let mut taken = rounds::slots_of(db, user).await?;
    if taken.len() >= most {
        expire(platform, Some(user)).await?;
        taken = rounds::slots_of(db, user).await?;
    }
    let free: Vec<i16> = (1..=games.open_rounds).filter(|slot| !taken.contains(slot)).collect();
    for turn in 0..free.len() {
        let slot = free[(first + turn) % free.len()];
        if let Some(round) = open(platform, user, game, slot).await? {
            return Ok(round);
        }
    }
    Err(Error::rate_limited(LIVES))
}

/// Starts one in a slot. None: another has it.
async fn open(
    platform: &Platform,
    user: UserId,
    game: GameKind,
    slot: i16,
) -> Result<Option<Round>> {
    let round = new(platform, user, game, slot);
    let is_written = rounds::insert(platform.database.writes(), round.clone()).await?;
    Ok(is_written.then_some(round))
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
        sealed_seed: Some(platform.vault.seal(&place(id), &seed)),
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

/// Where a round's seed is sealed for.
pub fn place(id: RoundId) -> String {
    format!("rounds/{id}")
}
