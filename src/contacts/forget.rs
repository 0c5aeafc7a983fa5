//! Forgetting the people that somebody knew.

use super::entity;
use super::lookup::entity as lookups;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// How many numbers are looked at by one statement.
const AT_ONCE: usize = 500;

/// Removes all contacts of somebody, and what was found about numbers, these and their own, that are nobody's
/// contact any more. Answers how many contacts there were.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &Work, owner: UserId, own_phone: Option<&PhoneNumber>) -> Result<u64> {
    let mut phones = entity::phones_of(tx, owner).await?;
    let count = entity::delete_all(tx, owner).await?;
    phones.extend(own_phone.into_iter().flat_map(PhoneNumber::forms));
    for phones in phones.chunks(AT_ONCE) {
        let in_use = entity::in_use(tx, phones).await?;
        let unused: Vec<PhoneNumber> =
            phones.iter().filter(|phone| !in_use.contains(phone)).cloned().collect();
        lookups::delete(tx, &unused).await?;
    }
    Ok(count)
}
