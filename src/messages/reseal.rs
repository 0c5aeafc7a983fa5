//! Re-encryption of sealed bodies after `SECRET_KEYS` got a new first key.

use super::entity::messages;
use super::sealed_body::aad;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::database::BATCH_TIMEOUT;

/// Re-encrypts the sealed bodies that are not encrypted with the first key. Returns how many.
///
/// # Errors
/// If a body cannot be decrypted with any of the keys.
pub async fn reseal(platform: &Platform) -> Result<usize> {
    let tx = platform.begin_with_timeout(BATCH_TIMEOUT).await?;
    let mut resealed = 0;
    for (id, old) in messages::find_sealed_bodies(&tx).await? {
        if !platform.vault.is_current(&old) {
            let text = platform.vault.open(&aad(id), &old)?;
            let new = platform.vault.seal(&aad(id), &text);
            resealed += usize::from(messages::replace_sealed_body(&tx, id, old, new).await?);
        }
    }
    tx.commit().await?;
    Ok(resealed)
}
