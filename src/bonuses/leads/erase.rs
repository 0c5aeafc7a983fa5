//! Erasure of what leads say about a person, when the account with the verified number is deleted.

use crate::bonuses::Bonuses;
use crate::bonuses::entity::leads;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// Erases the consents, times and numbers of the leads of a number. The ids of the leads stay, so that one that is sent
/// again has no effect.
pub async fn erase(
    state: &Bonuses,
    platform: &Platform,
    tx: &Work,
    phone: &PhoneNumber,
) -> Result<()> {
    let hash = state.number_key(platform).await?.hash(phone);
    Ok(leads::erase(tx, &hash).await?)
}
