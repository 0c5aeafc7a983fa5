//! Two-factor login: decides whether a login needs a code by SMS, and turns it on and off.

use super::challenge::{Claimant, Purpose, Verification, verify_and_begin};
use super::{Accounts, security_notice};
use crate::config::TwoFactorPolicy;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;

/// The phone that receives the code of a login. `None` when the login needs no code.
pub fn second_factor_phone<'p>(accounts: &Accounts, person: &'p Person) -> Option<&'p PhoneNumber> {
    let is_required =
        accounts.two_factor_policy == TwoFactorPolicy::Required && !person.two_factor_waived;
    person.phone.as_ref().filter(|_| person.two_factor_enabled || is_required)
}

/// Turns two-factor login on or off.
///
/// # Errors
/// BAD_USER_INPUT at `verification.code`; PHONE_REQUIRED without a verified phone; CONFLICT for turning it off where
/// it is required; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn set_two_factor(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    enabled: bool,
    verification: &Verification,
) -> Result<()> {
    let code = verification.parse("verification.code")?;
    let person = people::get_own(platform.database.reads(), user).await?;
    if person.phone_verified_at.is_none() {
        return Err(phone_required_error());
    }
    if !enabled && accounts.two_factor_policy == TwoFactorPolicy::Required {
        let message = "Two-factor login is required here.";
        return Err(UserError::new(ErrorCode::Conflict, message).for_field("enabled").into());
    }
    let claimant = Claimant::SignedIn(user, session);
    let (tx, person) =
        verify_and_begin(accounts, platform, Purpose::TwoFactor, claimant, &code).await?;
    people::set_two_factor(&tx, user, enabled, platform.now()).await?;
    if person.two_factor_enabled != enabled {
        let template = if enabled { Template::TwoFactorOn } else { Template::TwoFactorOff };
        security_notice::enqueue_notice(accounts, platform, &tx, &person, template).await?;
    }
    tx.commit().await
}

/// The error of an action that needs a verified phone.
pub fn phone_required_error() -> Error {
    Error::new(ErrorCode::PhoneRequired, "This needs a verified phone number. Confirm yours first.")
}

/// The error of an action that needs a code.
pub fn code_required_error() -> Error {
    let message = "Give the code of an SMS: `requestCode` sends one.";
    UserError::new(ErrorCode::VerificationRequired, message).for_field("verification").into()
}

/// The error of an action that needs the current password.
pub fn password_required_error() -> Error {
    let message = "Give your current password.";
    UserError::new(ErrorCode::VerificationRequired, message).for_field("currentPassword").into()
}
