//! Ending sessions: this one, another of one's own, or all of them.

use super::endings::{self, Ending};
use super::entity::sessions;
use super::{Accounts, locked};
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{SessionId, UserId};
use crate::platform::Platform;

/// Ends the session, or with `everywhere` every session of the user.
///
/// # Errors
/// Those of the database.
pub async fn logout(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
    everywhere: bool,
) -> Result<()> {
    let tx = platform.database.begin().await?;
    let ending = if everywhere {
        locked::lock(&tx, user).await?;
        sessions::end_all(&tx, user, None, platform.now()).await?;
        Ending::Account(user)
    } else {
        sessions::end(&tx, user, session, platform.now()).await?;
        Ending::Session(session)
    };
    endings::record(&tx, platform, ending).await?;
    tx.commit().await?;
    endings::apply(accounts, platform, ending).await
}

/// Ends one of the user's sessions.
///
/// # Errors
/// NOT_FOUND for one that is over, unknown or somebody else's.
pub async fn end_session(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<()> {
    let tx = platform.database.begin().await?;
    if !sessions::end(&tx, user, session, platform.now()).await? {
        return Err(Error::not_found("session"));
    }
    let ending = Ending::Session(session);
    endings::record(&tx, platform, ending).await?;
    tx.commit().await?;
    endings::apply(accounts, platform, ending).await
}

/// Ends one of the user's sessions, unless it has ended.
///
/// # Errors
/// Those of the database.
pub async fn end_if_live(
    accounts: &Accounts,
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<()> {
    match end_session(accounts, platform, user, session).await {
        Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
        ended => ended,
    }
}
