//! Answering a challenge, which opens the transaction of the deed that the code is for.
//!
//! A try is counted before it is looked at, and a wrong one is committed, whatever becomes of the deed. So
//! fifty at once are fifty tries. A right one is taken back, and spends the code only if the deed is done.

use sea_orm::DatabaseTransaction;

use super::{Purpose, is_code_of, read_id};
use crate::accounts::Accounts;
use crate::accounts::entity::challenges::{self, Model};
use crate::accounts::entity::credentials;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{Id, SessionId, UserId};
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::budget::Budget;

/// What somebody gives back.
#[derive(Clone)]
pub struct Verification {
    /// The challenge's id.
    pub challenge_id: String,
    /// The code.
    pub code: String,
}

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub enum Answerer {
    /// Somebody who is signed in, by this session.
    SignedIn(UserId, SessionId),
    /// Whoever has the code.
    Anybody,
}

/// Begins a deed with the answer to a challenge: a transaction in which the account is locked and the
/// challenge is spent, and whose account it is. The phone that the code came to is verified.
///
/// # Errors
/// CODE_INVALID at `field`, CODE_EXPIRED, RATE_LIMITED.
pub async fn answered(
    accounts: &Accounts,
    platform: &Platform,
    purpose: Purpose,
    by: Answerer,
    verification: &Verification,
    field: &'static str,
) -> Result<(DatabaseTransaction, Person)> {
    let invalid = || {
        let message = "The code is wrong, was used already, or belongs to something else.";
        Error::from(Failure::new(ErrorCode::CodeInvalid, message).at(field))
    };
    let tx = platform.database.begin().await?;
    let named = match read_id(platform, &verification.challenge_id) {
        Some(id) => challenges::by_id(&tx, id).await?,
        None => None,
    };
    let mut seen = named.filter(|row| is_for(row, purpose, by));
    let user = match by {
        Answerer::SignedIn(user, _) => Some(user),
        Answerer::Anybody => seen.as_ref().and_then(|row| row.user_id),
    };
    if let Some(user) = user {
        credentials::lock(&tx, user).await?;
    }
    if let Some(row) = &seen {
        // As it is now that nobody else changes it.
        seen = challenges::by_id(&tx, row.id).await?;
    }
    let now = platform.now();
    if seen.as_ref().is_some_and(|row| row.answered_at.is_none() && row.expires_at <= now) {
        let message = "The code's time is over. Ask for a new one.";
        return Err(Failure::new(ErrorCode::CodeExpired, message).at(field).into());
    }
    let mut counted: Vec<(&Budget, Vec<u8>)> = Vec::new();
    let budgets = &accounts.budgets;
    match (&seen, user) {
        (Some(Model { identifier_hash: Some(identifier), .. }), _) => {
            budgets.reset_tries.take(&tx, platform, identifier).await?;
            counted.push((&budgets.reset_tries, identifier.clone()));
        }
        (_, Some(user)) => {
            let of_account = match purpose {
                Purpose::ResetPassword => &budgets.reset_tries,
                _ => &budgets.tries,
            };
            of_account.take(&tx, platform, user.uuid().as_bytes()).await?;
            counted.push((of_account, user.uuid().as_bytes().to_vec()));
        }
        // An id that nothing has cannot be guessed, nor can its code.
        (_, None) => return Err(invalid()),
    }
    let mut is_right =
        seen.as_ref().is_some_and(|row| is_code_of(platform, row, &verification.code));
    if let (Purpose::ResetPassword, Some(user)) = (purpose, user) {
        // Counted, but not told: by another identifier it would show that both are of one account.
        let subject = user.uuid().into_bytes();
        let of_account = &budgets.reset_tries_of_account;
        match of_account.take(&tx, platform, &subject).await {
            Ok(()) => counted.push((of_account, subject.to_vec())),
            Err(error) if error.code() == ErrorCode::RateLimited => is_right = false,
            Err(error) => return Err(error),
        }
    }
    let person = match user {
        Some(user) => people::by_id(&tx, user).await?,
        None => None,
    };
    let (Some(row), Some(mut person), true) = (seen, person, is_right) else {
        tx.commit().await?;
        return Err(invalid());
    };
    if !challenges::answer(&tx, &row, now).await? {
        tx.commit().await?;
        return Err(invalid());
    }
    for (budget, subject) in counted {
        budget.give_back(&tx, platform, &subject).await?;
    }
    if row.message_id.is_some() && person.phone_verified_at.is_none() {
        people::verify_phone(&tx, person.id, now).await?;
        person.phone_verified_at = Some(now);
    }
    Ok((tx, person))
}

fn is_for(row: &Model, purpose: Purpose, by: Answerer) -> bool {
    let is_theirs = match by {
        Answerer::SignedIn(user, session) => {
            row.user_id == Some(user) && row.session_id == Some(session)
        }
        Answerer::Anybody => row.session_id.is_none(),
    };
    row.purpose == purpose && is_theirs
}
