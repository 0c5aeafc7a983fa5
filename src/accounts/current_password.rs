//! Asking for the password of somebody who is signed in: a stolen token alone changes nothing.

use sea_orm::DatabaseTransaction;

use super::entity::credentials;
use super::password::{Password, Verdict};
use super::{Accounts, locked};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::Platform;

/// The password was right when it was compared.
pub struct Matched {
    user: UserId,
    version: i32,
    field: &'static str,
}

/// Compares a password with an account's.
///
/// # Errors
/// INVALID_CREDENTIALS at `field`; RATE_LIMITED after too many wrong ones.
pub async fn matches(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    password: &Password,
    field: &'static str,
) -> Result<Matched> {
    let counted = accounts.wrong_passwords.reserve(platform.now(), user).await?;
    let credential = credentials::of(platform.database.reads(), Some(user)).await?;
    let hash = credential.as_ref().map(|credential| &credential.password_hash);
    let verdict = accounts.passwords.verify(password, hash).await?;
    match credential.filter(|_| verdict != Verdict::Wrong) {
        Some(credential) => Ok(Matched { user, version: credential.version, field }),
        None => {
            counted.keep();
            Err(wrong(field))
        }
    }
}

impl Matched {
    /// Locks the account, whose password must be the same still. Answers whose it is.
    ///
    /// # Errors
    /// INVALID_CREDENTIALS when it has changed; ACCOUNT_DELETED.
    pub async fn lock(&self, tx: &DatabaseTransaction) -> Result<Person> {
        let Some(locked) = locked::lock(tx, self.user).await? else {
            return people::own(tx, self.user).await;
        };
        let is_same = locked.password_version == self.version;
        if is_same { Ok(locked.person) } else { Err(wrong(self.field)) }
    }
}

fn wrong(field: &'static str) -> Error {
    let message = "This is not your current password.";
    Failure::new(ErrorCode::InvalidCredentials, message).at(field).into()
}
