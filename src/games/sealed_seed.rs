//! Encryption of a round's seed while it is secret, and its re-encryption with the current key.

use super::entity::rounds::{self, Model as Round};
use super::provably_fair::Seed;
use crate::error::{Error, Result};
use crate::ids::RoundId;
use crate::platform::Platform;

/// Encrypts a seed for its round.
pub fn seal_seed(platform: &Platform, round: RoundId, seed: &Seed) -> Vec<u8> {
    platform.vault.seal(&aad(round), seed)
}

/// Decrypts the seed of an open round. Fails when the key is no longer in the key ring.
pub fn open_seed(platform: &Platform, round: &Round) -> Result<Seed> {
    let sealed = round.sealed_seed.as_ref();
    let sealed = sealed.ok_or_else(|| Error::internal("an open round has no seed"))?;
    let seed = platform.vault.open(&aad(round.id), sealed)?;
    Seed::try_from(seed).map_err(|_| Error::internal("a seed has another length"))
}

/// The seed to reveal when a round expires. None: its key is lost, which must not keep the round open.
pub fn revealed_seed(platform: &Platform, round: &Round) -> Option<Vec<u8>> {
    open_seed(platform, round).inspect_err(Error::log).ok().map(|seed| seed.to_vec())
}

/// Encrypts every sealed seed with the current key. Returns how many were changed. Fails when the key of one is no
/// longer in the key ring.
pub async fn reseal_seeds(platform: &Platform) -> Result<u64> {
    rounds::reseal_seeds(platform, |id| aad(*id)).await
}

/// The additional authenticated data: a sealed seed cannot be opened for another round.
fn aad(id: RoundId) -> String {
    format!("rounds/{id}")
}
