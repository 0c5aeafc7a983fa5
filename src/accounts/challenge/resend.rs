//! Sending a challenge's code again: another code under the same id. The tries are counted on.

use super::{Challenge, Purpose, budgets, code_for, read_id, renewed};
use crate::accounts::entity::challenges::{self, Model};
use crate::accounts::entity::credentials;
use crate::accounts::{Accounts, Client, forgot_password};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::messages;
use crate::people;
use crate::platform::Platform;
use crate::platform::clock::Instant;

const FIELD: &str = "challengeId";

/// Sends another code.
///
/// # Errors
/// NOT_FOUND; RATE_LIMITED until its `resend_at` and when a budget is used up; CODE_INVALID when it was
/// answered, CODE_EXPIRED when its time is over.
pub async fn resend(
    accounts: &Accounts,
    platform: &Platform,
    client: &Client,
    viewer: Option<UserId>,
    id: &str,
) -> Result<Challenge> {
    let row = visible(platform, viewer, id).await?;
    if row.purpose == Purpose::ResetPassword {
        return forgot_password::again(accounts, platform, client, &row).await;
    }
    let not_found = || Error::not_found("challenge");
    let user = row.user_id.ok_or_else(not_found)?;
    let tx = platform.database.begin().await?;
    credentials::lock(&tx, user).await?;
    let seen = challenges::by_id(&tx, row.id).await?.ok_or_else(not_found)?;
    may_go_again(&seen, platform.now())?;
    let person = people::by_id(&tx, user).await?.ok_or_else(not_found)?;
    let phone = person.phone.as_ref().ok_or_else(not_found)?;
    budgets::take(accounts, platform, &tx, phone, user).await?;
    budgets::take_of_address(accounts, platform, &tx, client.address).await?;
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
    challenges::renew(&tx, &seen, &to).await?;
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
    match (row.resend_at - now).to_std() {
        Ok(wait) if !wait.is_zero() => Err(Error::rate_limited(wait)),
        _ => Ok(()),
    }
}

/// The challenge of an id, for somebody who may see it: whoever has the id, when nobody was signed in as it
/// began; else its owner.
///
/// # Errors
/// NOT_FOUND; UNAUTHENTICATED when it is somebody's and nobody is signed in.
pub async fn visible(platform: &Platform, viewer: Option<UserId>, id: &str) -> Result<Model> {
    let not_found = || Error::not_found("challenge");
    let id = read_id(platform, id).ok_or_else(not_found)?;
    let row = challenges::by_id(platform.database.reads(), id).await?.ok_or_else(not_found)?;
    if matches!(row.purpose, Purpose::Login | Purpose::ResetPassword) {
        return Ok(row);
    }
    match viewer {
        None => Err(Error::unauthenticated("Sign in first.")),
        Some(viewer) if row.user_id == Some(viewer) => Ok(row),
        Some(_) => Err(not_found()),
    }
}
