//! Erasure of a user's contacts.

use super::entity;
use super::lookup::entity as lookups;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// Numbers per statement.
const BATCH_SIZE: usize = 500;

/// Deletes all contacts of a user, and the stored lookups of their numbers and of the user's own number, except numbers
/// that are in other users' contacts. Returns the number of deleted contacts.
pub async fn erase(tx: &Work, owner: UserId, own_phone: Option<&PhoneNumber>) -> Result<u64> {
    let mut phones = entity::list_phones(tx, owner).await?;
    let count = entity::delete_all(tx, owner).await?;
    phones.extend(own_phone.into_iter().flat_map(PhoneNumber::variants));
    for phones in phones.chunks(BATCH_SIZE) {
        let in_use = entity::find_phones_in_use(tx, phones).await?;
        let unused: Vec<PhoneNumber> =
            phones.iter().filter(|phone| !in_use.contains(phone)).cloned().collect();
        lookups::delete_by_phones(tx, &unused).await?;
    }
    Ok(count)
}
