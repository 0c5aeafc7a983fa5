//! The second factor: whose login asks for a code by SMS, and turning that on and off.

use super::challenge::{Answerer, Purpose, Verification, answered};
use super::{Accounts, notice};
use crate::config::TwoFactor;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
use crate::people::{self, Person};
use crate::platform::Platform;

/// Whether a login asks for a code.
pub fn is_on(accounts: &Accounts, person: &Person) -> bool {
    person.phone.is_some()
        && (person.two_factor_enabled || accounts.two_factor == TwoFactor::Required)
}

/// Turns it on or off.
///
/// # Errors
/// PHONE_REQUIRED without a verified phone; VERIFICATION_REQUIRED without a code; CONFLICT for turning off
/// what is required here; those of the code.
pub async fn set_two_factor(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    enabled: bool,
    verification: Option<&Verification>,
) -> Result<()> {
    let person = people::living(platform.database.reads(), user).await?;
    if person.phone_verified_at.is_none() {
        return Err(phone_required());
    }
    if !enabled && accounts.two_factor == TwoFactor::Required {
        let is_required = "Two-factor login is required here.";
        return Err(Failure::new(ErrorCode::Conflict, is_required).at("enabled").into());
    }
    let verification = verification.ok_or_else(|| verification_required("verification"))?;
    let by = Answerer::SignedIn(user, session);
    let field = "verification.code";
    let (tx, person) =
        answered(accounts, platform, Purpose::TwoFactor, by, verification, field).await?;
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

/// This needs what `field` names.
pub fn verification_required(field: &'static str) -> Error {
    let message = match field {
        "currentPassword" => "Give your current password.",
        _ => "Give the code of an SMS: `requestCode` sends one.",
    };
    Failure::new(ErrorCode::VerificationRequired, message).at(field).into()
}
