//! Asking for a code, to do what needs one.

use super::challenge::{Asker, Challenge, Purpose, ask};
use super::locked::{self, Locked};
use super::second_factor::phone_required;
use super::{Accounts, Client};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;

/// Sends a code for what somebody who is signed in is about to do.
///
/// # Errors
/// BAD_USER_INPUT for the purposes that have doors of their own; CONFLICT for a phone that is verified;
/// PHONE_REQUIRED; RATE_LIMITED.
pub async fn request_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    (user, session): (UserId, SessionId),
    purpose: Purpose,
) -> Result<Challenge> {
    if let Purpose::Login | Purpose::ResetPassword = purpose {
        let message = "`login` and `forgotPassword` send these codes.";
        return Err(Failure::bad_input(message).at("purpose").into());
    }
    let tx = platform.database.begin().await?;
    let locked = locked::lock(&tx, user).await?;
    let Locked { person, .. } = locked.ok_or_else(|| Error::not_found("user"))?;
    let is_verified = person.phone_verified_at.is_some();
    let phone = person.phone.as_ref().ok_or_else(phone_required)?;
    match purpose {
        Purpose::VerifyPhone if is_verified => {
            let message = "The phone number is verified already.";
            return Err(Failure::new(ErrorCode::Conflict, message).at("purpose").into());
        }
        Purpose::VerifyPhone => {}
        _ if !is_verified => return Err(phone_required()),
        _ => {}
    }
    let asker = Asker { person: &person, session: Some(session), address: client.address };
    let challenge = ask(accounts, platform, &tx, &asker, phone, purpose).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    Ok(challenge)
}
