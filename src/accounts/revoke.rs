//! Revoking: whoever holds a token of a session may end that session.

use super::Accounts;
use super::entity::sessions;
use super::logout::end_if_live;
use super::refresh::is_ours;
use super::refresh_token::RefreshToken;
use crate::error::{ErrorCode, Result};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;

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
    match owned {
        Some((user, session)) => end_if_live(accounts, platform, user, session).await,
        None => Ok(()),
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
    Ok(is_ours(platform, &session, token).then_some((session.user_id, session.id)))
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
