//! Request of a code by a signed-in user, for an action that requires one.

use super::account_lock::{self, LockedAccount};
use super::challenge::{ChallengeView, CodeRequest, Purpose, send_code};
use super::second_factor::phone_required_error;
use super::{Accounts, Client};
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;

/// Sends a code for a purpose.
///
/// # Errors
/// BAD_USER_INPUT for LOGIN and RESET_PASSWORD; CONFLICT when the phone is verified already; PHONE_REQUIRED;
/// RATE_LIMITED.
pub async fn request_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    (user, session): (UserId, SessionId),
    purpose: Purpose,
) -> Result<ChallengeView> {
    if let Purpose::Login | Purpose::ResetPassword = purpose {
        let message = "`login` and `forgotPassword` send these codes.";
        return Err(UserError::bad_input(message).for_field("purpose").into());
    }
    let tx = platform.begin().await?;
    let locked = account_lock::lock(&tx, user).await?;
    let LockedAccount { person, .. } = locked.ok_or_else(|| Error::not_found("user"))?;
    let is_verified = person.phone_verified_at.is_some();
    let phone = person.phone.as_ref().ok_or_else(phone_required_error)?;
    match purpose {
        Purpose::VerifyPhone if is_verified => {
            let message = "The phone number is verified already.";
            return Err(UserError::new(ErrorCode::Conflict, message).for_field("purpose").into());
        }
        Purpose::VerifyPhone => {}
        _ if !is_verified => return Err(phone_required_error()),
        _ => {}
    }
    let (person, session, address) = (&person, Some(session), client.address);
    let request = CodeRequest { person, session, address, phone, purpose };
    let challenge = send_code(accounts, platform, &tx, &request).await?;
    tx.commit().await?;
    Ok(challenge)
}
