//! Logout: ends the current session, another one of the user, or all.

use super::entity::sessions;
use super::revocation_sync::revoke;
use super::revocations::Revocation;
use super::{Accounts, account_lock};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;

/// Ends a session, or with `everywhere` all sessions of its user.
pub async fn logout(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
    everywhere: bool,
) -> Result<()> {
    let tx = platform.begin().await?;
    let revocation = if everywhere {
        account_lock::lock(&tx, user).await?;
        sessions::end_all(&tx, user, None, platform.now()).await?;
        Revocation::Account(user)
    } else {
        sessions::end(&tx, user, session, platform.now()).await?;
        Revocation::Session(session)
    };
    revoke(accounts, platform, &tx, revocation).await?;
    tx.commit().await
}

/// Ends one of the user's sessions.
///
/// # Errors
/// NOT_FOUND if the user has no such live session.
pub async fn end_session(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<()> {
    let tx = platform.begin().await?;
    if !sessions::end(&tx, user, session, platform.now()).await? {
        return Err(Error::not_found("session"));
    }
    revoke(accounts, platform, &tx, Revocation::Session(session)).await?;
    tx.commit().await
}

/// Ends one of the user's sessions, unless it has ended already.
pub async fn end_session_if_live(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<()> {
    match end_session(accounts, platform, user, session).await {
        Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
        result => result,
    }
}
