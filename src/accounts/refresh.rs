//! Refreshing a session: exchanges a refresh token for new tokens.

use super::Accounts;
use super::entity::sessions::{self, Model};
use super::logout::end_session_if_live;
use super::refresh_token::RefreshToken;
use super::session::{IssuedTokens, issue_tokens};
use super::token_family::{self, RefreshDecision, decide_refresh};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::TokenVersion;
use crate::people::{self, Activity};
use crate::platform::Platform;
use crate::platform::database::Work;

/// How often an exchange is tried. Each conflict means that a concurrent request has changed the session's tokens.
/// After fewer changes than this, the token is no longer accepted.
const MAX_ATTEMPTS: usize = 5;

/// The outcome of exchanging a refresh token.
enum ExchangeOutcome {
    /// The next refresh token.
    Issued(RefreshToken),
    /// A concurrent request changed the session's tokens. Try again.
    Conflict,
    /// The token was used before, is a copy, or never belonged to the session.
    Reuse,
    /// The token is valid, but its successor cannot be derived again, as the key has left the ring.
    Underivable,
}

/// Exchanges a refresh token for the session's next tokens. A used or copied token ends the session.
///
/// # Errors
/// UNAUTHENTICATED; ACCOUNT_DELETED; SERVICE_UNAVAILABLE.
pub async fn refresh(
    accounts: &Accounts,
    platform: &Platform,
    token: &str,
) -> Result<IssuedTokens> {
    let token = RefreshToken::parse(token).ok_or_else(not_accepted_error)?;
    let tx = platform.begin().await?;
    for _ in 0..MAX_ATTEMPTS {
        let session = sessions::find_live(&tx, token.session(), platform.now()).await?;
        let Some(session) = session else {
            return Err(no_session_error(&tx, platform, &token).await);
        };
        let person =
            people::find_by_id(&tx, session.user_id).await?.ok_or_else(not_accepted_error)?;
        match exchange(&tx, platform, &session, &token).await? {
            ExchangeOutcome::Issued(next) => {
                let activity = Activity { user: person.id, at: platform.now(), game: None };
                people::record_activity(&tx, [activity]).await?;
                tx.commit().await?;
                return issue_tokens(accounts, platform, person, &session, next);
            }
            ExchangeOutcome::Conflict => {}
            ExchangeOutcome::Underivable => return Err(not_accepted_error()),
            // A forged token must not end a session.
            ExchangeOutcome::Reuse if !is_ours(platform, &session, &token) => {
                return Err(not_accepted_error());
            }
            ExchangeOutcome::Reuse => {
                drop(tx);
                end_session_if_live(accounts, platform, session.user_id, session.id).await?;
                tracing::warn!(session = %session.id, "an old refresh token was used again: the session is revoked");
                return Err(not_accepted_error());
            }
        }
    }
    let message = "The session is busy. Try again.";
    Err(Error::with_cause(
        ErrorCode::ServiceUnavailable,
        message,
        "its tokens change again and again",
    ))
}

/// Whether we issued a refresh token. One of the newest generation is recognized by its hash, even if its key has left
/// the ring.
pub fn is_ours(platform: &Platform, session: &Model, token: &RefreshToken) -> bool {
    session.has_hash(&token.hash()) || token.is_genuine(&platform.vault)
}

async fn exchange(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    token: &RefreshToken,
) -> Result<ExchangeOutcome> {
    match decide_refresh(session, token, platform.now()) {
        RefreshDecision::Rotate => {
            let next = token.successor(&platform.vault, 0);
            let (hash, TokenVersion { issue, .. }) = (token.hash(), token.version());
            let forks = token_family::forks_after(session, token.version());
            let successor = (&next.hash(), forks);
            let now = platform.now();
            let is_rotated = sessions::rotate(tx, session, (&hash, issue), successor, now).await?;
            Ok(if is_rotated { ExchangeOutcome::Issued(next) } else { ExchangeOutcome::Conflict })
        }
        RefreshDecision::Repeat(issue) => {
            let hash = session.issue_hash(issue).unwrap_or_default();
            match token.successor_with_hash(&platform.vault, issue, hash) {
                Some(next) if session.confirmed_issue.is_some() => {
                    Ok(ExchangeOutcome::Issued(next))
                }
                Some(next) => {
                    let hashes = session.refresh_hashes.clone();
                    store_successors(tx, platform, session, hashes, next).await
                }
                None if token_family::may_reissue(session) => {
                    reissue(tx, platform, session, token).await
                }
                None => Ok(ExchangeOutcome::Underivable),
            }
        }
        RefreshDecision::Reissue => reissue(tx, platform, session, token).await,
        RefreshDecision::Reuse => Ok(ExchangeOutcome::Reuse),
    }
}

/// Issues another successor of the parent, in addition to the earlier ones.
async fn reissue(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    parent: &RefreshToken,
) -> Result<ExchangeOutcome> {
    let next = parent.successor(&platform.vault, session.issue_count());
    let hashes = [session.refresh_hashes.as_slice(), &next.hash()].concat();
    store_successors(tx, platform, session, hashes, next).await
}

/// Stores the hashes of the parent's successors, and issues `next`, which is one of them.
async fn store_successors(
    tx: &Work,
    platform: &Platform,
    session: &Model,
    hashes: Vec<u8>,
    next: RefreshToken,
) -> Result<ExchangeOutcome> {
    let is_stored = sessions::set_issue_hashes(tx, session, hashes, platform.now()).await?;
    Ok(if is_stored { ExchangeOutcome::Issued(next) } else { ExchangeOutcome::Conflict })
}

/// The error for a token that has no live session.
async fn no_session_error(tx: &Work, platform: &Platform, token: &RefreshToken) -> Error {
    // A forged token must not reveal anything about an account.
    if !token.is_genuine(&platform.vault) {
        return not_accepted_error();
    }
    people::get_own(tx, token.user()).await.map_or_else(|error| error, |_| not_accepted_error())
}

fn not_accepted_error() -> Error {
    Error::unauthenticated("The refresh token is not accepted. Log in again.")
}
