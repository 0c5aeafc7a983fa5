//! Resealing the secrets of bonuses with the first key of the ring, after `SECRET_KEYS` was changed.

use super::entity::{leads, number_keys};
use crate::error::Result;
use crate::platform::Platform;

/// Reseals every row that was sealed with another key. Returns the number of rows.
///
/// Fails if a row cannot be opened because its key is missing from the ring.
pub async fn reseal(platform: &Platform) -> Result<u64> {
    Ok(number_keys::reseal(platform).await? + leads::reseal(platform).await?)
}
