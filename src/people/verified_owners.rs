//! The verified owners of many phone numbers.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use crate::error::Result;
use crate::ids::UserId;
use crate::platform::database::{MAX_ROWS, RowSetSql, Work, row_set_sql};
use crate::platform::phone::{PhoneKey, PhoneNumber};

const LOCK: RowSetSql = row_set_sql!("sql/lock_verified_owners");

/// Finds the users who have verified one of these numbers, and locks their rows in the order of their ids. Each number
/// is given as its owner verified it.
pub async fn lock_verified_owners(
    tx: &Work,
    numbers: &[PhoneNumber],
) -> Result<HashMap<PhoneKey, (UserId, PhoneNumber)>> {
    let mut keys: Vec<PhoneKey> = numbers.iter().map(PhoneNumber::key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut owners = HashMap::new();
    for keys in keys.chunks(MAX_ROWS) {
        let keys: Vec<&str> = keys.iter().map(PhoneKey::as_str).collect();
        let statement = LOCK.bind(tx.get_database_backend(), &keys, [])?;
        for row in tx.query_all_raw(statement).await? {
            let (user, phone): (UserId, PhoneNumber) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            owners.insert(phone.key(), (user, phone));
        }
    }
    Ok(owners)
}
