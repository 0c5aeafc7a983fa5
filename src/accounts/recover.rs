//! Account recovery after a lost phone: a command for operators, who check the owner's identity themselves.

use std::time::Duration;

use super::account_lock::{self, LockedAccount};
use super::challenge::{Purpose, recovery_code};
use super::entity::challenges::Model;
use super::entity::{audit, challenges, credentials, sessions};
use super::revocations::{self, Revocation};
use super::{Accounts, password, security_notice};
use crate::error::{Error, Result};
use crate::messages::Template;
use crate::people::{self, Identifier, Person};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// How long the owner has to set a new password.
const RECOVERY_LIFETIME: Duration = Duration::from_hours(24);

/// A recovered account, and the one-time code for `resetPassword`.
pub struct Recovery {
    /// The owner.
    pub person: Person,
    /// The challenge's id.
    pub challenge_id: String,
    /// The code.
    pub code: String,
    /// When the code expires.
    pub expires_at: Timestamp,
}

/// Ends the account's sessions, disables its password, and creates a code to set a new one. The second factor is off
/// until the owner verifies a code again. The phone number stays.
///
/// # Errors
/// NOT_FOUND when there is no such account.
pub async fn recover(
    accounts: &Accounts,
    platform: &Platform,
    identifier: &Identifier,
) -> Result<Recovery> {
    let now = platform.now();
    let tx = platform.begin().await?;
    let not_found = || Error::not_found("user");
    let person = people::find_by_identifier(&tx, identifier).await?.ok_or_else(not_found)?;
    let LockedAccount { person, .. } =
        account_lock::lock(&tx, person.id).await?.ok_or_else(not_found)?;
    people::waive_two_factor(&tx, person.id, now).await?;
    if person.two_factor_enabled {
        security_notice::enqueue_notice(accounts, platform, &tx, &person, Template::TwoFactorOff)
            .await?;
    }
    // Without a second factor, a thief of the password could sign in.
    credentials::set_password(&tx, person.id, password::unusable_hash(), now).await?;
    challenges::consume_sign_in_codes(&tx, person.id, now).await?;
    sessions::end_all(&tx, person.id, None, now).await?;
    revocations::record(&tx, platform, Revocation::Account(person.id)).await?;
    let id = platform.new_id();
    let (challenge_id, code, code_hash) = recovery_code(platform, id);
    let challenge = Model {
        id,
        user_id: Some(person.id),
        session_id: None,
        purpose: Purpose::ResetPassword,
        identifier_hash: None,
        sealed_identifier: None,
        code_hash: Some(code_hash),
        message_id: None,
        send_count: 1,
        send_pending: false,
        created_at: now,
        expires_at: now + RECOVERY_LIFETIME,
        // Never resent: the operator passes the code on.
        resend_at: now + RECOVERY_LIFETIME,
        consumed_at: None,
    };
    let expires_at = challenge.expires_at;
    challenges::insert(&tx, challenge).await?;
    let action = audit::AuditAction::Recovered;
    audit::insert(
        &tx,
        audit::Model { id: platform.new_id(), user_id: person.id, action, done_at: now },
    )
    .await?;
    tx.commit().await?;
    tracing::warn!(user = %person.id, "the account was recovered by an operator");
    Ok(Recovery { person, challenge_id, code, expires_at })
}
