//! The second factor: whose login asks for a code by SMS, and turning that on and off.

use super::challenge::{Answerer, Purpose, Verification, answered};
use super::{Accounts, notice};
use crate::config::TwoFactor;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;

/// The phone that a login asks for a code from. None: it asks for none.
pub fn asked_of<'p>(accounts: &Accounts, person: &'p Person) -> Option<&'p PhoneNumber> {
    let is_required = accounts.two_factor == TwoFactor::Required && !person.two_factor_waived;
    person.phone.as_ref().filter(|_| person.two_factor_enabled || is_required)
}

/// Turns it on or off.
///
/// # Errors
/// BAD_USER_INPUT at `verification.code`; PHONE_REQUIRED without a verified phone; CONFLICT for turning off what is required here; those of the code.
pub async fn set_two_factor(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    enabled: bool,
    verification: &Verification,
) -> Result<()> {
    let code = verification.read("verification.code")?;
    let person = people::own(platform.database.reads(), user).await?;
    if person.phone_verified_at.is_none() {
        return Err(phone_required());
    }
    if !enabled && accounts.two_factor == TwoFactor::Required {
        let is_required = "Two-factor login is required here.";
        return Err(Failure::new(ErrorCode::Conflict, is_required).at("enabled").into());
    }
    let by = Answerer::SignedIn(user, session);
    let (tx, person) = answered(accounts, platform, Purpose::TwoFactor, by, &code).await?;
    people::set_two_factor(&tx, user, enabled, platform.now()).await?;
    if person.two_factor_enabled != enabled {
        let told = if enabled { Template::TwoFactorOn } else { Template::TwoFactorOff };
        notice::send(accounts, platform, &tx, &person, told).await?;
    }
    tx.commit().await?;
    accounts.messages.wake.wake();
    Ok(())
}

/// This needs a verified phone.
pub fn phone_required() -> Error {
    Error::new(ErrorCode::PhoneRequired, "This needs a verified phone number. Confirm yours first.")
}

/// This needs a code.
pub fn code_required() -> Error {
    let message = "Give the code of an SMS: `requestCode` sends one.";
    Failure::new(ErrorCode::VerificationRequired, message).at("verification").into()
}

/// This needs the current password.
pub fn password_required() -> Error {
    let message = "Give your current password.";
    Failure::new(ErrorCode::VerificationRequired, message).at("currentPassword").into()
}
