//! Sealing this room's secrets anew after `SECRET_KEYS` has a new first key.

use super::{forgot_password, signing_keys};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::database::BATCH_LIMIT;

/// Moves every sealed row to the first key. Answers how many were moved.
///
/// # Errors
/// When a row cannot be opened: the ring lacks its key.
pub async fn reseal(platform: &Platform) -> Result<usize> {
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    let moved =
        signing_keys::reseal(&tx, platform).await? + forgot_password::reseal(&tx, platform).await?;
    tx.commit().await?;
    Ok(moved)
}
