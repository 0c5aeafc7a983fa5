//! Password change by a signed-in user.

use super::challenge::{Purpose, Verification};
use super::entity::{challenges, credentials, sessions};
use super::password::Password;
use super::reauthentication::{Proof, reauthenticate};
use super::revocation_sync::revoke;
use super::revocations::Revocation;
use super::{Accounts, security_notice};
use crate::error::{CollectErrors, ForField, Result, check_optional};
use crate::ids::{SessionId, UserId};
use crate::messages::Template;
use crate::platform::Platform;

/// `ChangePasswordInput` of the schema.
#[derive(Clone)]
pub struct ChangePasswordInput {
    pub current_password: String,
    pub new_password: String,
    pub verification: Option<Verification>,
}

/// Sets a new password, and ends the account's other sessions.
///
/// # Errors
/// BAD_USER_INPUT and WEAK_PASSWORD with their fields; INVALID_CREDENTIALS at `currentPassword`;
/// VERIFICATION_REQUIRED without a code when the phone is verified; CODE_INVALID,
/// CODE_EXPIRED, RATE_LIMITED.
pub async fn change_password(
    accounts: &Accounts,
    platform: &Platform,
    (user, session): (UserId, SessionId),
    input: ChangePasswordInput,
) -> Result<()> {
    let parse_code = |verification: &Verification| verification.parse("verification.code");
    let (current, new, code) = (
        Password::parse(&input.current_password).for_field("currentPassword"),
        Password::parse_new(&input.new_password).for_field("newPassword"),
        check_optional(input.verification.as_ref(), parse_code),
    )
        .collect_errors()?;
    let (viewer, purpose) = ((user, session), Purpose::ChangePassword);
    let proof = Proof { password: &current, field: "currentPassword", code };
    let reauthenticated = reauthenticate(accounts, platform, viewer, purpose, proof).await?;
    let hash = accounts.password_hasher.hash(platform, &new).await?;

    let (tx, person) = reauthenticated.begin(accounts, platform).await?;
    credentials::set_password(&tx, user, hash, platform.now()).await?;
    challenges::consume_sign_in_codes(&tx, user, platform.now()).await?;
    sessions::end_all(&tx, user, Some(session), platform.now()).await?;
    revoke(accounts, platform, &tx, Revocation::Account(user)).await?;
    security_notice::enqueue_notice(accounts, platform, &tx, &person, Template::PasswordChanged)
        .await?;
    tx.commit().await
}
