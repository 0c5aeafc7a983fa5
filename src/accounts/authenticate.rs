//! Who a bearer token speaks for, at this moment.

use super::Accounts;
use super::access_token;
use super::entity::sessions;
use super::lineage::{AccessVerdict, Line};
use super::logout::end_if_live;
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::{Rotation, SessionId, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;

/// From memory, from the database, and once more after somebody else was faster.
const MAX_LOOKS: usize = 3;

/// Somebody whose token and session are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is.
    pub user: UserId,
    /// By which session.
    pub session: SessionId,
    /// By which of the session's tokens.
    pub rotation: Rotation,
    /// What they may do, as it stands now.
    pub role: Role,
}

/// Checks an access token, and that its session is not over.
///
/// # Errors
/// UNAUTHENTICATED when either is not good; ACCOUNT_DELETED.
pub async fn authenticate(
    accounts: &Accounts,
    platform: &Platform,
    token: &str,
) -> Result<Authenticated> {
    let claims = accounts.access_tokens.verify(platform, &accounts.signing_keys, token).await?;
    still_signed_in(accounts, platform, claims.user, claims.session, claims.rotation).await
}

/// What distinguishes a session that has ended, for which no token is good any more, from a bad token.
pub const SESSION_ENDED: &str = "SESSION_ENDED";

fn session_ended() -> Error {
    let message = "The session has ended. Log in again.";
    Failure::new(ErrorCode::Unauthenticated, message).because(SESSION_ENDED).into()
}

/// Checks that a session is not over and goes on with this token, for one whose token was checked when its socket
/// was opened. The first use of a token of the newest generation chooses it.
///
/// # Errors
/// UNAUTHENTICATED when the session has ended, as it does by a token that is not of the chosen line; ACCOUNT_DELETED.
pub async fn still_signed_in(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
    rotation: Rotation,
) -> Result<Authenticated> {
    let now = platform.now();
    let may_remember = accounts.endings.are_heard(platform);
    let mut remembered = accounts.standings.remembered(session, now).filter(|_| may_remember);
    for _ in 0..MAX_LOOKS {
        let standing = match remembered.take() {
            Some(standing) => Some(standing),
            None => accounts.standings.read(platform, session, may_remember).await?,
        };
        let Some(standing) = standing.filter(|standing| standing.user == user) else {
            people::own(platform.database.reads(), user).await?;
            return Err(session_ended());
        };
        let is_accepted = match standing.line.judge(rotation) {
            AccessVerdict::InLine => true,
            AccessVerdict::FirstUse => choose(platform, session, rotation, &standing.line).await,
            // What is remembered is not all.
            AccessVerdict::Later => false,
            AccessVerdict::Outdated => return Err(access_token::over()),
            AccessVerdict::Reuse => {
                end_if_live(accounts, platform, user, session).await?;
                tracing::warn!(%session, "the access token of a copy was used: the session is revoked");
                return Err(session_ended());
            }
        };
        if is_accepted {
            return Ok(Authenticated { user, session, rotation, role: standing.role });
        }
    }
    Err(access_token::not_accepted())
}

/// Chooses the token that is used first of its generation. False when another one was, or there is a later
/// generation: then the session must be read.
async fn choose(platform: &Platform, session: SessionId, rotation: Rotation, line: &Line) -> bool {
    match sessions::choose(platform.database.writes(), session, rotation).await {
        Ok(true) => {
            line.choose(rotation.issue);
            true
        }
        Ok(false) => false,
        // It was not chosen, so that the next use tries again.
        Err(error) => {
            tracing::warn!(%session, %error, "a token was not marked as chosen");
            true
        }
    }
}
