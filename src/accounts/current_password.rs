//! Asking for the password of somebody who is signed in: a stolen token alone changes nothing.

use sea_orm::DatabaseTransaction;

use super::Accounts;
use super::entity::credentials;
use super::password::{Password, PasswordHash, Verdict};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::platform::Platform;

/// The password was right when it was compared.
pub struct Matched {
    hash: PasswordHash,
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
    let hash = credentials::hash_of(platform.database.reads(), Some(user)).await?;
    let verdict = accounts.passwords.verify(password, hash.as_ref()).await?;
    match hash.filter(|_| verdict != Verdict::Wrong) {
        Some(hash) => Ok(Matched { hash, field }),
        None => {
            counted.keep();
            Err(wrong(field))
        }
    }
}

impl Matched {
    /// Locks the account, in which the password must not have changed meanwhile.
    ///
    /// # Errors
    /// INVALID_CREDENTIALS when it has.
    pub async fn lock(&self, tx: &DatabaseTransaction, user: UserId) -> Result<()> {
        match credentials::lock(tx, user).await? {
            Some(hash) if hash == self.hash => Ok(()),
            _ => Err(wrong(self.field)),
        }
    }
}

fn wrong(field: &'static str) -> Error {
    let message = "This is not your current password.";
    Failure::new(ErrorCode::InvalidCredentials, message).at(field).into()
}
