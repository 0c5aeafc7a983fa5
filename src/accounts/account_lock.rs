//! Account lock: a use case that reads or changes the password, phone or second factor takes this lock before any
//! other row of the account, so that it decides on current values.

use super::entity::credentials;
use crate::error::Result;
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::database::Work;

/// An account that is locked until the transaction ends.
pub struct LockedAccount {
    /// The owner, read under the lock.
    pub person: Person,
    /// Changes with each new password.
    pub password_version: i32,
}

/// Locks an account. `None` when there is no such account.
pub async fn lock(tx: &Work, user: UserId) -> Result<Option<LockedAccount>> {
    let credential = credentials::lock(tx, user).await?;
    let person = people::find_by_id(tx, user).await?;
    Ok(person
        .zip(credential)
        .map(|(person, credential)| LockedAccount { person, password_version: credential.version }))
}
