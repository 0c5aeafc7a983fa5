//! The account's phone number: added once, never changed, verified by a code.

use super::challenge::{
    ChallengeView, Claimant, CodeRequest, Purpose, Verification, send_code, verify_and_begin,
};
use super::password::Password;
use super::reauthentication;
use super::{Accounts, Client};
use crate::error::{CollectErrors, Error, ErrorCode, ForField, Result, UserError};
use crate::ids::{SessionId, UserId};
use crate::people;
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;

/// Adds a phone number, and sends a code to it.
///
/// # Errors
/// INVALID_PHONE_NUMBER; INVALID_CREDENTIALS; CONFLICT when the account has a number; IDENTIFIER_TAKEN; RATE_LIMITED.
pub async fn add_phone(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    (user, session): (UserId, SessionId),
    phone: &str,
    current_password: &str,
) -> Result<ChallengeView> {
    let region = accounts.default_region.as_ref();
    let (phone, password) = (
        PhoneNumber::parse(phone, region)
            .and_then(PhoneNumber::into_sms_capable)
            .for_field("phone"),
        Password::parse(current_password).for_field("currentPassword"),
    )
        .collect_errors()?;
    let person = people::get_own(platform.database.reads(), user).await?;
    if person.phone.is_some() {
        return Err(phone_already_set_error());
    }
    let password_match =
        reauthentication::verify_password(accounts, platform, user, &password, "currentPassword")
            .await?;
    let tx = platform.begin().await?;
    let person = password_match.lock(&tx).await?;
    if !people::set_phone(&tx, platform, user, &phone).await? {
        return Err(phone_already_set_error());
    }
    let request = CodeRequest {
        person: &person,
        session: Some(session),
        address: client.address,
        phone: &phone,
        purpose: Purpose::VerifyPhone,
    };
    let challenge = send_code(accounts, platform, &tx, &request).await?;
    tx.commit().await?;
    Ok(challenge)
}

/// Verifies the phone number with a code.
///
/// # Errors
/// BAD_USER_INPUT at `verification.code`; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn verify_phone(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    verification: &Verification,
) -> Result<()> {
    let (claimant, code) =
        (Claimant::SignedIn(user, session), verification.parse("verification.code")?);
    let (tx, _) =
        verify_and_begin(accounts, platform, Purpose::VerifyPhone, claimant, &code).await?;
    tx.commit().await
}

fn phone_already_set_error() -> Error {
    let message = "The account has a phone number, which can never be changed.";
    UserError::new(ErrorCode::Conflict, message).for_field("phone").into()
}
