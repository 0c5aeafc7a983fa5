//! Token revocation (RFC 7009): any token of a session is enough to end it.

use super::Accounts;
use super::entity::sessions;
use super::logout::end_session_if_live;
use super::refresh::is_ours;
use super::refresh_token::RefreshToken;
use crate::error::{ErrorCode, Result};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;

/// Ends the session of a refresh token, used or not, or of a valid access token. Any other text, or a token whose
/// session has ended, has no effect.
pub async fn revoke_token(accounts: &Accounts, platform: &Platform, token: &str) -> Result<()> {
    let session = match RefreshToken::parse(token) {
        Some(token) => find_session_of_refresh_token(platform, &token).await?,
        None => find_session_of_access_token(accounts, platform, token).await?,
    };
    match session {
        Some((user, id)) => end_session_if_live(accounts, platform, user, id).await,
        None => Ok(()),
    }
}

async fn find_session_of_refresh_token(
    platform: &Platform,
    token: &RefreshToken,
) -> Result<Option<(UserId, SessionId)>> {
    let db = platform.database.reads();
    let Some(session) = sessions::find_live(db, token.session(), platform.now()).await? else {
        return Ok(None);
    };
    Ok(is_ours(platform, &session, token).then_some((session.user_id, session.id)))
}

async fn find_session_of_access_token(
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
