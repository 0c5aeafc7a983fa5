//! Sending a challenge's code again: another code under the same id. The tries are counted on.

use std::time::Duration;

use super::{Challenge, LIFETIME, budgets, code_for, renewed};
use crate::accounts::entity::challenges::{self, Model};
use crate::accounts::locked::{self, Locked};
use crate::accounts::{Accounts, Client};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::messages;
use crate::platform::Platform;
use crate::platform::clock::{Instant, is_ahead};

const FIELD: &str = "challengeId";

/// Sends another code in the place of one.
///
/// # Errors
/// RATE_LIMITED until its `resend_at` and when a budget is used up; CODE_INVALID when it was answered,
/// CODE_EXPIRED when its time is over.
pub async fn resend(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    row: &Model,
) -> Result<Challenge> {
    let not_found = || Error::not_found("challenge");
    let user = row.user_id.ok_or_else(not_found)?;
    let tx = platform.database.begin().await?;
    let Locked { person, .. } = locked::lock(&tx, user).await?.ok_or_else(not_found)?;
    let seen = challenges::by_id(&tx, row.id).await?.ok_or_else(not_found)?;
    may_go_again(&seen, platform.now())?;
    let phone = person.phone.as_ref().ok_or_else(not_found)?;
    budgets::take_of_address(accounts, platform, &tx, client.address).await?;
    budgets::take(accounts, platform, &tx, phone, user).await?;
    if let Some(message) = seen.message_id {
        messages::withdraw(platform, &tx, message).await?;
    }
    let (code_hash, message_id) =
        code_for(accounts, platform, &tx, seen.id, phone, seen.purpose).await?;
    let to = Model {
        code_hash: Some(code_hash),
        message_id: Some(message_id),
        ..renewed(platform, &seen)
    };
    if !challenges::renew(&tx, &seen, &to).await? {
        return Err(not_found());
    }
    let challenge = super::watch::view(platform, &tx, &to, Some(phone)).await?;
    tx.commit().await?;
    accounts.messages.wake.wake();
    platform.events.publish(&super::watch::topic(to.id));
    Ok(challenge)
}

/// Whether another code may be sent.
///
/// # Errors
/// Why not.
pub fn may_go_again(row: &Model, now: Instant) -> Result<()> {
    if row.answered_at.is_some() {
        let was_used = Failure::new(ErrorCode::CodeInvalid, "This code was used already.");
        return Err(was_used.at(FIELD).into());
    }
    if row.expires_at <= now {
        let is_over = Failure::new(ErrorCode::CodeExpired, "The code's time is over. Begin anew.");
        return Err(is_over.at(FIELD).into());
    }
    match resend_wait(row, now) {
        Some(wait) => Err(Error::rate_limited(wait)),
        None => Ok(()),
    }
}

/// How long no other code is sent. None: one may be. Nor is there a wait for a code that was sent in the future: the
/// clock was set back since.
pub fn resend_wait(row: &Model, now: Instant) -> Option<Duration> {
    // One that may not be resent at all is good until then.
    let may_ever = row.resend_at < row.expires_at;
    if may_ever && is_ahead(now, row.expires_at - LIFETIME) {
        return None;
    }
    (row.resend_at - now).to_std().ok().filter(|wait| !wait.is_zero())
}
