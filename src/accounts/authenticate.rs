//! Authentication of requests: checks an access token, and that its session is live.

use super::Accounts;
use super::access_token;
use super::entity::sessions;
use super::logout::end_session_if_live;
use super::token_family::{AccessTokenStatus, TokenFamily};
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::{SessionId, TokenVersion, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;

/// How often the session is read: from the cache, from the database, and once more after a concurrent request confirmed
/// another token.
const MAX_READS: usize = 3;

/// The requester, after token and session were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The version of the token that was sent.
    pub token_version: TokenVersion,
    /// The user's current role.
    pub role: Role,
}

/// Checks an access token and that its session is live.
///
/// # Errors
/// UNAUTHENTICATED; ACCOUNT_DELETED.
pub async fn authenticate(
    accounts: &Accounts,
    platform: &Platform,
    token: &str,
) -> Result<Authenticated> {
    let claims = accounts.access_tokens.verify(platform, &accounts.signing_keys, token).await?;
    revalidate_session(accounts, platform, claims.user, claims.session, claims.token_version).await
}

/// The `reason` of the error for an ended session: a refresh does not help, the user must log in again.
pub const SESSION_ENDED: &str = "SESSION_ENDED";

fn session_ended_error() -> Error {
    let message = "The session has ended. Log in again.";
    UserError::new(ErrorCode::Unauthenticated, message).with_reason(SESSION_ENDED).into()
}

/// Checks that a session is live and accepts tokens of this version. Sockets call it for each operation; they checked
/// the token itself when they were opened. The first use of an issue of the newest generation confirms it. A copied
/// token ends the session.
///
/// # Errors
/// UNAUTHENTICATED; ACCOUNT_DELETED.
pub async fn revalidate_session(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
    token_version: TokenVersion,
) -> Result<Authenticated> {
    let now = platform.now();
    let may_cache = accounts.revocation_poll.is_current(platform);
    let mut cached = accounts.session_cache.get(session, now).filter(|_| may_cache);
    for _ in 0..MAX_READS {
        let loaded = match cached.take() {
            Some(cached) => Some(cached),
            None => accounts.session_cache.load(platform, session, may_cache).await?,
        };
        let Some(live) = loaded.filter(|loaded| loaded.user == user) else {
            people::get_own(platform.database.reads(), user).await?;
            return Err(session_ended_error());
        };
        let is_accepted = match live.token_family.access_token_status(token_version) {
            AccessTokenStatus::Accepted => true,
            AccessTokenStatus::FirstUse => {
                confirm_issue(platform, session, token_version, &live.token_family).await
            }
            // The session that was read is outdated.
            AccessTokenStatus::NewerGeneration => false,
            AccessTokenStatus::Outdated => return Err(access_token::expired_error()),
            AccessTokenStatus::Reuse => {
                end_session_if_live(accounts, platform, user, session).await?;
                tracing::warn!(%session, "the access token of a copy was used: the session is revoked");
                return Err(session_ended_error());
            }
        };
        if is_accepted {
            return Ok(Authenticated { user, session, token_version, role: live.role });
        }
    }
    Err(access_token::not_accepted_error())
}

/// Confirms the issue of its generation that is used first. False if another one was confirmed meanwhile, or there is a
/// newer generation: then the session must be read again.
async fn confirm_issue(
    platform: &Platform,
    session: SessionId,
    token_version: TokenVersion,
    token_family: &TokenFamily,
) -> bool {
    match sessions::confirm_issue(platform.database.writes(), session, token_version).await {
        Ok(true) => {
            token_family.confirm(token_version.issue);
            true
        }
        Ok(false) => false,
        // Accepted, but not confirmed: the next use tries again.
        Err(error) => {
            tracing::warn!(%session, %error, "a token was not marked as chosen");
            true
        }
    }
}
