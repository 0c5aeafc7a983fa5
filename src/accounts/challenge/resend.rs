//! Resending a code of an account: replaces the code of a challenge. Failed attempts still count.

use super::resend_schedule::{ensure_resendable, resent};
use super::send::queue_code;
use super::view::{ChallengeView, load_view_with_phone};
use super::watch::challenge_topic;
use crate::accounts::account_lock::{self, LockedAccount};
use crate::accounts::entity::challenges::{self, Model};
use crate::accounts::{Accounts, Client};
use crate::error::{Error, Result};
use crate::messages;
use crate::platform::Platform;

/// Replaces the code of a challenge and sends the new one.
///
/// # Errors
/// RATE_LIMITED until `resend_at` and when a rate limit is reached; CODE_INVALID when the code was used;
/// CODE_EXPIRED when it has expired.
pub async fn resend_account_code(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    challenge: &Model,
) -> Result<ChallengeView> {
    let not_found = || Error::not_found("challenge");
    let user = challenge.user_id.ok_or_else(not_found)?;
    let tx = platform.begin().await?;
    let LockedAccount { person, .. } =
        account_lock::lock(&tx, user).await?.ok_or_else(not_found)?;
    let expected = challenges::find(&tx, challenge.id).await?.ok_or_else(not_found)?;
    ensure_resendable(&expected, platform.now())?;
    let phone = person.phone.as_ref().ok_or_else(not_found)?;
    accounts.code_rate_limiter.acquire_for_address(platform, &tx, client.address).await?;
    accounts.code_rate_limiter.acquire(platform, &tx, phone, user).await?;
    if let Some(message) = expected.message_id {
        messages::cancel(platform, &tx, message).await?;
    }
    let (code_hash, message_id) =
        queue_code(accounts, platform, &tx, (expected.id, expected.purpose), phone).await?;
    let updated = Model {
        code_hash: Some(code_hash),
        message_id: Some(message_id),
        ..resent(platform, &expected)
    };
    if !challenges::update_if_unchanged(&tx, &expected, &updated).await? {
        return Err(not_found());
    }
    let view = load_view_with_phone(platform, &tx, &updated, Some(phone)).await?;
    tx.publish(challenge_topic(updated.id));
    tx.commit().await?;
    Ok(view)
}
