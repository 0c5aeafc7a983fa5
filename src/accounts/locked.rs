//! Locking an account: a deed that goes by its password, phone or second factor, or changes them, takes this
//! lock first, before any other of its rows. So it goes by what is true when it is done.

use super::entity::credentials;
use crate::error::Result;
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::database::Work;

/// An account that nobody else changes until the transaction ends.
pub struct Locked {
    /// Whose it is, as they are now.
    pub person: Person,
    /// Which password it has.
    pub password_version: i32,
}

/// Locks an account. None: there is no such one.
///
/// # Errors
/// Those of the database.
pub async fn lock(tx: &Work, user: UserId) -> Result<Option<Locked>> {
    let credential = credentials::lock(tx, user).await?;
    let person = people::by_id(tx, user).await?;
    Ok(person
        .zip(credential)
        .map(|(person, credential)| Locked { person, password_version: credential.version }))
}
