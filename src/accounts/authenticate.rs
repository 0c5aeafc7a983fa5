//! Who a bearer token speaks for, at this moment.

use super::Accounts;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{SessionId, UserId};
use crate::people::Role;
use crate::platform::Platform;

/// Somebody whose token and session are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is.
    pub user: UserId,
    /// By which session.
    pub session: SessionId,
    /// What they may do, as it stands now.
    pub role: Role,
}

/// Checks an access token, and that its session is not over.
///
/// # Errors
/// UNAUTHENTICATED when either is not good.
pub async fn authenticate(
    accounts: &Accounts,
    platform: &Platform,
    token: &str,
) -> Result<Authenticated> {
    let claims = accounts.access_tokens.verify(platform, &accounts.signing_keys, token).await?;
    still_signed_in(accounts, platform, claims.user, claims.session).await
}

/// What distinguishes a session that has ended, for which no token is good any more, from a bad token.
pub const SESSION_ENDED: &str = "SESSION_ENDED";

fn session_ended() -> Error {
    let message = "The session has ended. Log in again.";
    Failure::new(ErrorCode::Unauthenticated, message).because(SESSION_ENDED).into()
}

/// Checks that a session is not over, for one whose token was checked when its socket was opened.
///
/// # Errors
/// UNAUTHENTICATED when it is.
pub async fn still_signed_in(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<Authenticated> {
    let may_remember = accounts.endings.are_heard(platform.now());
    let standing = accounts.standings.of(platform, session, may_remember).await?;
    match standing.filter(|standing| standing.user == user) {
        Some(standing) => Ok(Authenticated { user, session, role: standing.role }),
        None => Err(session_ended()),
    }
}
