//! Seeds that nobody may see yet: how a round keeps its own.

use super::entity::rounds::{self, Model as Round};
use super::fair::Seed;
use crate::error::{Error, Result};
use crate::ids::RoundId;
use crate::platform::Platform;

/// A seed, sealed for one round.
pub fn seal(platform: &Platform, round: RoundId, seed: &Seed) -> Vec<u8> {
    platform.vault.seal(&place(round), seed)
}

/// The seed of a round that is open.
///
/// # Errors
/// Internal when the ring lacks its key.
pub fn unseal(platform: &Platform, round: &Round) -> Result<Seed> {
    let sealed = round.sealed_seed.as_ref();
    let sealed = sealed.ok_or_else(|| Error::internal("an open round has no seed"))?;
    let seed = platform.vault.open(&place(round.id), sealed)?;
    Seed::try_from(seed).map_err(|_| Error::internal("a seed has another length"))
}

/// The seed to show of a round that ends without a play. None: its key is gone, and the round is over all the same.
pub fn shown_at_the_end(platform: &Platform, round: &Round) -> Option<Vec<u8>> {
    unseal(platform, round).inspect_err(Error::log).ok().map(|seed| seed.to_vec())
}

/// Moves every sealed seed to the first key. Answers how many were moved.
///
/// # Errors
/// When one cannot be opened: the ring lacks its key.
pub async fn reseal(platform: &Platform) -> Result<usize> {
    let mut moved = 0;
    for (id, sealed) in rounds::sealed(platform.database.reads()).await? {
        if !platform.vault.is_current(&sealed) {
            let seed = platform.vault.open(&place(id), &sealed)?;
            let anew = platform.vault.seal(&place(id), &seed);
            let db = platform.database.writes();
            moved += usize::from(rounds::seal_anew(db, id, sealed, anew).await?);
        }
    }
    Ok(moved)
}

fn place(id: RoundId) -> String {
    format!("rounds/{id}")
}
