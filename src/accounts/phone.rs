//! The phone of an account: it is added once, to an account that has none, and verified by a code.

use super::challenge::{Answerer, Asker, Challenge, Purpose, Verification, answered, ask};
use super::current_password;
use super::password::Password;
use super::{Accounts, Client};
use crate::error::{At, Checked, ErrorCode, Failure, Result};
use crate::ids::{SessionId, UserId};
use crate::people;
use crate::platform::Platform;
use crate::platform::phone::PhoneNumber;

/// Adds a phone, and sends it a code.
///
/// # Errors
/// INVALID_PHONE_NUMBER; INVALID_CREDENTIALS for the password; CONFLICT when there is a phone;
/// IDENTIFIER_TAKEN when it is somebody's; RATE_LIMITED.
pub async fn add_phone(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    (user, session): (UserId, SessionId),
    phone: &str,
    current_password: &str,
) -> Result<Challenge> {
    let region = accounts.default_region.as_ref();
    let (phone, password) = (
        PhoneNumber::parse(phone, region).and_then(PhoneNumber::reachable_by_sms).at("phone"),
        Password::given(current_password).at("currentPassword"),
    )
        .all()?;
    let person = people::own(platform.database.reads(), user).await?;
    if person.phone.is_some() {
        return Err(has_one());
    }
    let matched =
        current_password::matches(accounts, platform, user, &password, "currentPassword").await?;
    let tx = platform.database.begin().await?;
    let person = matched.lock(&tx).await?;
    if !people::set_phone(&tx, platform, user, &phone).await? {
        return Err(has_one());
    }
    let asker = Asker { person: &person, session: Some(session), address: client.address };
    let challenge = ask(accounts, platform, &tx, &asker, &phone, Purpose::VerifyPhone).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    Ok(challenge)
}

/// Shows that the phone is its owner's.
///
/// # Errors
/// BAD_USER_INPUT at `verification.code`; CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn verify_phone(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    verification: &Verification,
) -> Result<()> {
    let (by, code) = (Answerer::SignedIn(user, session), verification.read("verification.code")?);
    let (tx, person) = answered(accounts, platform, Purpose::VerifyPhone, by, &code).await?;
    tx.commit().await?;
    people::tell(platform, &person);
    Ok(())
}

fn has_one() -> crate::error::Error {
    let message = "The account has a phone number, which can never be changed.";
    Failure::new(ErrorCode::Conflict, message).at("phone").into()
}
