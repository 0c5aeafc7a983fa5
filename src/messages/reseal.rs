//! Re-encryption of sealed bodies after `SECRET_KEYS` got a new first key.

use super::entity::messages;
use super::sealed_body::aad;
use crate::error::Result;
use crate::platform::Platform;

/// Re-encrypts the sealed bodies that are not encrypted with the first key. Returns how many.
///
/// # Errors
/// If a body cannot be decrypted with any of the keys.
pub async fn reseal(platform: &Platform) -> Result<u64> {
    messages::reseal_bodies(platform, |id| aad(*id)).await
}
