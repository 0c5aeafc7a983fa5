//! Revoking: whoever holds a token of a session may end that session.

use super::Accounts;
use super::entity::sessions;
use super::logout::end_session;
use super::refresh_token::RefreshToken;
use crate::error::{ErrorCode, Result};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;
use crate::platform::vault::same;

/// Ends the session of a refresh token, new or old, or of an access token that is not over. What is no such
/// token, or whose session is over, ends nothing.
///
/// # Errors
/// Those of the database.
pub async fn revoke(accounts: &Accounts, platform: &Platform, token: &str) -> Result<()> {
    let owned = match RefreshToken::parse(token) {
        Some(token) => of_refresh_token(platform, &token).await?,
        None => of_access_token(accounts, platform, token).await?,
    };
    let Some((user, session)) = owned else { return Ok(()) };
    match end_session(accounts, platform, user, session).await {
        Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
        ended => ended,
    }
}

async fn of_refresh_token(
    platform: &Platform,
    token: &RefreshToken,
) -> Result<Option<(UserId, SessionId)>> {
    let db = platform.database.reads();
    let Some(session) = sessions::by_id(db, token.session(), platform.now()).await? else {
        return Ok(None);
    };
    // One in hand is known by its hash, also when the key that made it has left the ring.
    let is_known = same(&session.refresh_hash, &token.hash());
    let is_ours = is_known || token.is_genuine(&platform.vault);
    Ok(is_ours.then_some((session.user_id, session.id)))
}

async fn of_access_token(
    accounts: &Accounts,
    platform: &Platform,
    token: &str,
) -> Result<Option<(UserId, SessionId)>> {
    match accounts.access_tokens.verify(platform, &accounts.signing_keys, token).await {
        Ok(claims) => Ok(Some((claims.user, claims.session))),
        Err(error) if error.code() == ErrorCode::Unauthenticated => Ok(None),
        Err(error) => Err(error),
    }
}
