//! Reauthentication: sensitive changes need the password again, so that a stolen token is not enough.

use super::challenge::{Claimant, EnteredCode, Purpose, verify_and_begin};
use super::entity::credentials;
use super::password::{Password, VerifyOutcome};
use super::second_factor::code_required_error;
use super::{Accounts, account_lock};
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{SessionId, UserId};
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::database::Work;

/// Proof that the password was right when it was compared.
pub struct PasswordMatch {
    user: UserId,
    password_version: i32,
    field: &'static str,
}

/// Compares a password with the account's.
///
/// # Errors
/// INVALID_CREDENTIALS at `field`; RATE_LIMITED after too many wrong passwords.
pub async fn verify_password(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    password: &Password,
    field: &'static str,
) -> Result<PasswordMatch> {
    let attempt = accounts.wrong_password_limiter.reserve(platform.uptime(), user).await?;
    let credential = credentials::find_by_user(platform.database.reads(), Some(user)).await?;
    let hash = credential.as_ref().map(|credential| &credential.password_hash);
    let outcome = accounts.password_hasher.verify(password, hash).await?;
    match credential.filter(|_| outcome != VerifyOutcome::Mismatch) {
        Some(credential) => Ok(PasswordMatch { user, password_version: credential.version, field }),
        None => {
            attempt.commit();
            Err(wrong_password(field))
        }
    }
}

impl PasswordMatch {
    /// Locks the account and checks that its password has not changed since. Returns the owner.
    ///
    /// # Errors
    /// INVALID_CREDENTIALS when the password has changed; ACCOUNT_DELETED.
    pub async fn lock(&self, tx: &Work) -> Result<Person> {
        let Some(locked) = account_lock::lock(tx, self.user).await? else {
            return people::get_own(tx, self.user).await;
        };
        let is_unchanged = locked.password_version == self.password_version;
        if is_unchanged { Ok(locked.person) } else { Err(wrong_password(self.field)) }
    }
}

/// What a user enters to authenticate again.
pub struct Proof<'a> {
    /// The current password.
    pub password: &'a Password,
    /// The field of the password, for errors.
    pub field: &'static str,
    /// The code by SMS, if one was entered.
    pub code: Option<EnteredCode>,
}

/// A user who entered the right password, and a code (not yet checked) if the phone is verified.
pub struct Reauthenticated {
    password_match: PasswordMatch,
    purpose: Purpose,
    claimant: Claimant,
    code: Option<EnteredCode>,
}

/// Compares a password with the account's, and requires a code if the phone is verified.
///
/// # Errors
/// INVALID_CREDENTIALS at `field`; RATE_LIMITED; VERIFICATION_REQUIRED without a code when the phone is verified.
pub async fn reauthenticate(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    purpose: Purpose,
    Proof { password, field, code }: Proof<'_>,
) -> Result<Reauthenticated> {
    let person = people::get_own(platform.database.reads(), user).await?;
    let code = code.filter(|_| needs_code(&person));
    if needs_code(&person) && code.is_none() {
        return Err(code_required_error());
    }
    let password_match = verify_password(accounts, platform, user, password, field).await?;
    Ok(Reauthenticated {
        password_match,
        purpose,
        claimant: Claimant::SignedIn(user, session),
        code,
    })
}

impl Reauthenticated {
    /// Begins a transaction in which the account is locked, the password is unchanged, and the code is used up. Returns
    /// the transaction and the owner.
    ///
    /// # Errors
    /// CODE_INVALID, CODE_EXPIRED, RATE_LIMITED; INVALID_CREDENTIALS when the password has changed; ACCOUNT_DELETED;
    /// VERIFICATION_REQUIRED when the phone was verified meanwhile.
    pub async fn begin(self, accounts: &Accounts, platform: &Platform) -> Result<(Work, Person)> {
        let tx = match &self.code {
            Some(code) => {
                verify_and_begin(accounts, platform, self.purpose, self.claimant, code).await?.0
            }
            None => platform.begin().await?,
        };
        let person = self.password_match.lock(&tx).await?;
        if needs_code(&person) && self.code.is_none() {
            return Err(code_required_error());
        }
        Ok((tx, person))
    }
}

fn needs_code(person: &Person) -> bool {
    person.phone_verified_at.is_some()
}

fn wrong_password(field: &'static str) -> Error {
    let message = "This is not your current password.";
    UserError::new(ErrorCode::InvalidCredentials, message).for_field(field).into()
}
