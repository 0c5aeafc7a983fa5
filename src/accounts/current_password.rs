//! Asking for the password of somebody who is signed in: a stolen token alone changes nothing.

use super::challenge::{Answerer, EnteredCode, Purpose, answered};
use super::entity::credentials;
use super::password::{Password, Verdict};
use super::second_factor::code_required;
use super::{Accounts, locked};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{SessionId, UserId};
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::database::Work;

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
    let counted = accounts.wrong_passwords.reserve(platform.uptime(), user).await?;
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
    pub async fn lock(&self, tx: &Work) -> Result<Person> {
        let Some(locked) = locked::lock(tx, self.user).await? else {
            return people::own(tx, self.user).await;
        };
        let is_same = locked.password_version == self.version;
        if is_same { Ok(locked.person) } else { Err(wrong(self.field)) }
    }
}

/// The password was right, and a code is there where the phone is verified.
pub struct Confirmed {
    matched: Matched,
    purpose: Purpose,
    by: Answerer,
    code: Option<EnteredCode>,
}

/// Compares a password with an account's, for what a code is asked for as well where the phone is verified.
///
/// # Errors
/// Those of [`matches`]; VERIFICATION_REQUIRED without a code when the phone is verified.
pub async fn confirm(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    purpose: Purpose,
    (password, field): (&Password, &'static str),
    code: Option<EnteredCode>,
) -> Result<Confirmed> {
    let person = people::own(platform.database.reads(), user).await?;
    let code = code.filter(|_| needs_code(&person));
    if needs_code(&person) && code.is_none() {
        return Err(code_required());
    }
    let matched = matches(accounts, platform, user, password, field).await?;
    Ok(Confirmed { matched, purpose, by: Answerer::SignedIn(user, session), code })
}

impl Confirmed {
    /// Begins the deed's transaction, with the account locked: password and phone are the same still, and the code is
    /// spent in it. Answers whose account it is, too.
    ///
    /// # Errors
    /// Those of the code; those of [`Matched::lock`]; VERIFICATION_REQUIRED when the phone was verified meanwhile.
    pub async fn begin(self, accounts: &Accounts, platform: &Platform) -> Result<(Work, Person)> {
        let tx = match &self.code {
            Some(code) => answered(accounts, platform, self.purpose, self.by, code).await?.0,
            None => platform.database.begin().await?,
        };
        let person = self.matched.lock(&tx).await?;
        if needs_code(&person) && self.code.is_none() {
            return Err(code_required());
        }
        Ok((tx, person))
    }
}

fn needs_code(person: &Person) -> bool {
    person.phone_verified_at.is_some()
}

fn wrong(field: &'static str) -> Error {
    let message = "This is not your current password.";
    Failure::new(ErrorCode::InvalidCredentials, message).at(field).into()
}
