//! Answering a challenge, which opens the transaction of the deed that the code is for.
//!
//! A try is counted before it is looked at, and a wrong one is committed, whatever becomes of the deed. So
//! fifty at once are fifty tries. A right one is taken back, and spends the code only if the deed is done.

use uuid::Uuid;

use super::{EnteredCode, Purpose, is_code_of, read_id};
use crate::accounts::entity::challenges::{self, Model};
use crate::accounts::{Accounts, locked};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{Id, SessionId, UserId};
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::budget::Budget;
use crate::platform::database::Work;

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
/// CODE_INVALID, CODE_EXPIRED, RATE_LIMITED.
pub async fn answered(
    accounts: &Accounts,
    platform: &Platform,
    purpose: Purpose,
    by: Answerer,
    entered: &EnteredCode,
) -> Result<(Work, Person)> {
    let tx = platform.database.begin().await?;
    let named = match read_id(platform, &entered.challenge_id) {
        Some(id) => challenges::by_id(&tx, id).await?,
        None => None,
    };
    let seen = named.filter(|row| is_for(row, purpose, by));
    let user = match (by, &seen) {
        (Answerer::SignedIn(user, _), _) => Some(user),
        (Answerer::Anybody, Some(row)) => row.user_id,
        // An id that nothing has cannot be guessed, nor can its code.
        (Answerer::Anybody, None) => return Err(invalid(purpose)),
    };
    // Nobody is locked in the same time as somebody.
    let locked = locked::lock(&tx, user.unwrap_or_else(|| Uuid::nil().into())).await?;
    let seen = match seen {
        // As it is now that nobody else changes it.
        Some(row) => challenges::by_id(&tx, row.id).await?,
        None => None,
    };
    let (now, is_open) = (platform.now(), |row: &Model| row.answered_at.is_none());
    if seen.as_ref().is_some_and(|row| is_open(row) && row.expires_at <= now) {
        let message = "The code's time is over. Ask for a new one.";
        return Err(Failure::new(ErrorCode::CodeExpired, message).at(field_of(purpose)).into());
    }
    let right = |row: &Model| is_open(row) && is_code_of(platform, row, &entered.code);
    let mut is_right = seen.as_ref().is_some_and(right);
    let tries = tries_at(accounts, seen.as_ref(), user);
    for it in &tries {
        match it.budget.take(&tx, platform, &it.subject).await {
            Err(error) if !it.is_told && error.code() == ErrorCode::RateLimited => is_right = false,
            taken => taken?,
        }
    }
    let is_spent = |row: &Model| !is_open(row) && is_code_of(platform, row, &entered.code);
    if seen.as_ref().is_some_and(is_spent) {
        // A program that says it again guesses nothing: not committed, so not counted.
        return Err(invalid(purpose));
    }
    let (Some(row), Some(locked), true) = (seen, locked, is_right) else {
        tx.commit().await?;
        return Err(invalid(purpose));
    };
    let mut person = locked.person;
    challenges::spend(&tx, &row, now).await?;
    for it in &tries {
        it.budget.give_back(&tx, platform, &it.subject).await?;
    }
    if row.message_id.is_some() {
        people::prove_phone(&tx, &mut person, now).await?;
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

fn invalid(purpose: Purpose) -> Error {
    let message = "The code is wrong, was used already, or belongs to something else.";
    Failure::new(ErrorCode::CodeInvalid, message).at(field_of(purpose)).into()
}

/// Where the code stands in the input.
fn field_of(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Login => "code",
        _ => "verification.code",
    }
}

/// What a try is counted in.
struct Tries<'a> {
    budget: &'a Budget,
    subject: Vec<u8>,
    /// Whether it is told that it is used up.
    is_told: bool,
}

/// By the account, over all its codes. Resets by what the stranger knows of it, so that what they use up is
/// not the owner's.
fn tries_at<'a>(
    accounts: &'a Accounts,
    row: Option<&Model>,
    user: Option<UserId>,
) -> Vec<Tries<'a>> {
    let budgets = &accounts.budgets;
    let account = user.map(|user| user.uuid().into_bytes().to_vec());
    let told = |budget, subject| Tries { budget, subject, is_told: true };
    match row {
        Some(Model { id, identifier_hash: Some(identifier), .. }) => vec![
            told(&budgets.reset_tries, identifier.clone()),
            // By another identifier it would show that both are of one account.
            Tries {
                budget: &budgets.reset_tries_of_account,
                subject: account.unwrap_or_else(|| id.as_bytes().to_vec()),
                is_told: false,
            },
        ],
        // An operator made it, and nobody else knows its id.
        Some(Model { id, purpose: Purpose::ResetPassword, .. }) => {
            vec![told(&budgets.reset_tries, id.as_bytes().to_vec())]
        }
        _ => account.into_iter().map(|account| told(&budgets.tries, account)).collect(),
    }
}
