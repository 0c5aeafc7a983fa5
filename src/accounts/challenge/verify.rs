//! Verifying a code: checks it and begins the transaction of the action that it permits.
//!
//! An attempt is counted before the code is compared, and a failed attempt is committed, so that fifty parallel
//! guesses are fifty attempts. A right code is not counted, and is used up only if that transaction commits.

use uuid::Uuid;

use super::code::{EnteredCode, matches_code};
use super::{Purpose, public_id};
use crate::accounts::entity::challenges::{self, Model};
use crate::accounts::{Accounts, account_lock};
use crate::bonuses;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{Id, SessionId, UserId};
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::shared_rate_limit::SharedRateLimit;

/// The requester who enters a code.
#[derive(Clone, Copy, Debug)]
pub enum Claimant {
    /// A user who is signed in with this session.
    SignedIn(UserId, SessionId),
    /// Anyone who has the code.
    Anonymous,
}

/// Checks a code and begins a transaction, in which the account is locked and the challenge is used up. Returns
/// the transaction and the owner, whose phone is verified by the code.
///
/// # Errors
/// CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn verify_and_begin(
    accounts: &Accounts,
    platform: &Platform,
    purpose: Purpose,
    claimant: Claimant,
    entered: &EnteredCode,
) -> Result<(Work, Person)> {
    let tx = platform.begin().await?;
    let challenge = match public_id::decode(platform, &entered.challenge_id) {
        Some(id) => challenges::find(&tx, id).await?,
        None => None,
    };
    let challenge = challenge.filter(|challenge| is_claimable(challenge, purpose, claimant));
    let user = match (claimant, &challenge) {
        (Claimant::SignedIn(user, _), _) => Some(user),
        (Claimant::Anonymous, Some(challenge)) => challenge.user_id,
        // Ids are unguessable, so nothing needs to be counted.
        (Claimant::Anonymous, None) => return Err(code_invalid_error(purpose)),
    };
    bonuses::hold_off_imports(&tx).await?;
    // Lock even when there is no account, so that timing does not reveal it.
    let locked = account_lock::lock(&tx, user.unwrap_or_else(|| Uuid::nil().into())).await?;
    let challenge = match challenge {
        // Read again under the lock.
        Some(challenge) => challenges::find(&tx, challenge.id).await?,
        None => None,
    };
    let (now, is_open) = (platform.now(), |challenge: &Model| challenge.consumed_at.is_none());
    if challenge.as_ref().is_some_and(|challenge| is_open(challenge) && challenge.expires_at <= now)
    {
        let message = "The code's time is over. Ask for a new one.";
        return Err(UserError::new(ErrorCode::CodeExpired, message)
            .for_field(code_field(purpose))
            .into());
    }
    let accepts =
        |challenge: &Model| is_open(challenge) && matches_code(platform, challenge, &entered.code);
    let mut is_accepted = challenge.as_ref().is_some_and(accepts);
    let attempt_limits = attempt_limits(accounts, challenge.as_ref(), user);
    for attempt_limit in &attempt_limits {
        match attempt_limit.rate_limit.acquire(&tx, platform, &attempt_limit.subject).await {
            Err(error) if !attempt_limit.is_reported && error.code() == ErrorCode::RateLimited => {
                is_accepted = false;
            }
            acquired => acquired?,
        }
    }
    let is_used_code =
        |challenge: &Model| !is_open(challenge) && matches_code(platform, challenge, &entered.code);
    if challenge.as_ref().is_some_and(is_used_code) {
        // Repeating a used code is not a guess: roll back, so that it is not counted.
        return Err(code_invalid_error(purpose));
    }
    let (Some(challenge), Some(locked), true) = (challenge, locked, is_accepted) else {
        tx.commit().await?;
        return Err(code_invalid_error(purpose));
    };
    let mut person = locked.person;
    challenges::consume(&tx, &challenge, now).await?;
    for attempt_limit in &attempt_limits {
        attempt_limit.rate_limit.refund(&tx, platform, &attempt_limit.subject).await?;
    }
    if challenge.message_id.is_some() {
        let is_first_proof = person.phone_verified_at.is_none();
        people::mark_phone_verified(&tx, platform, &mut person, now).await?;
        if let Some(phone) = person.phone.as_ref().filter(|_| is_first_proof) {
            let owner = (person.id, phone);
            // Boxed, as this large and rare future is part of every future that verifies a code.
            Box::pin(bonuses::pay_pending(&accounts.bonuses, platform, &tx, owner)).await?;
        }
    }
    Ok((tx, person))
}

fn is_claimable(challenge: &Model, purpose: Purpose, claimant: Claimant) -> bool {
    let is_owned = match claimant {
        Claimant::SignedIn(user, session) => {
            challenge.user_id == Some(user) && challenge.session_id == Some(session)
        }
        Claimant::Anonymous => challenge.session_id.is_none(),
    };
    challenge.purpose == purpose && is_owned
}

fn code_invalid_error(purpose: Purpose) -> Error {
    let message = "The code is wrong, was used already, or belongs to something else.";
    UserError::new(ErrorCode::CodeInvalid, message).for_field(code_field(purpose)).into()
}

/// The input field of the code.
fn code_field(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Login => "code",
        _ => "verification.code",
    }
}

/// A rate limit that an attempt counts against.
struct AttemptLimit<'a> {
    rate_limit: &'a SharedRateLimit,
    subject: Vec<u8>,
    /// Whether the client gets an error when the limit is reached. If not, the code counts as wrong.
    is_reported: bool,
}

/// The rate limits of an attempt. Attempts count per account, for all its codes together. Attempts at reset codes count
/// per identifier, so that a stranger cannot use up the owner's attempts.
fn attempt_limits<'a>(
    accounts: &'a Accounts,
    challenge: Option<&Model>,
    user: Option<UserId>,
) -> Vec<AttemptLimit<'a>> {
    let limits = &accounts.code_rate_limiter;
    let account = user.map(|user| user.uuid().into_bytes().to_vec());
    let reported = |limit, subject| AttemptLimit { rate_limit: limit, subject, is_reported: true };
    match challenge {
        Some(Model { id, identifier_hash: Some(identifier), .. }) => vec![
            reported(&limits.reset_attempts_per_identifier, identifier.clone()),
            // Not reported: it would reveal that two identifiers name the same account.
            AttemptLimit {
                rate_limit: &limits.reset_attempts_per_account,
                subject: account.unwrap_or_else(|| id.as_bytes().to_vec()),
                is_reported: false,
            },
        ],
        // An operator's recovery code: its id is secret.
        Some(Model { id, purpose: Purpose::ResetPassword, .. }) => {
            vec![reported(&limits.reset_attempts_per_identifier, id.as_bytes().to_vec())]
        }
        _ => {
            let limit = &limits.attempts_per_account;
            account.into_iter().map(|account| reported(limit, account)).collect()
        }
    }
}
