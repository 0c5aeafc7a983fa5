//! Watching a session for an open socket or stream: waits until the session ends, or until its user loses the
//! administrator role.

use std::time::Duration;

use futures_util::FutureExt;

use super::entity::sessions;
use crate::error::{Error, Result};
use crate::ids::{SessionId, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// The pause before a failed query is repeated.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The reason why a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The session was revoked or has expired.
    Ended,
    /// The account was deleted.
    AccountDeleted,
}

impl SessionEnd {
    /// The text that the client receives.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ended => "The session has ended.",
            Self::AccountDeleted => "The account has been deleted.",
        }
    }
}

/// The topic of a session: it is published when the session ends.
pub fn session_topic(session: SessionId) -> String {
    format!("session:{session}")
}

/// The topic of all sessions of a user: it is published when they end, and when the role changes.
pub fn user_topic(user: UserId) -> String {
    format!("user:{user}")
}

/// Waits until the session is revoked on any instance, or expires.
pub async fn session_ended(platform: &Platform, user: UserId, session: SessionId) -> SessionEnd {
    let mut session_events = platform.events.listen(session_topic(session));
    let mut user_events = platform.events.listen(user_topic(user));
    loop {
        // Boxed so that its memory is freed before the long wait: there is one for each socket.
        let next_check = match session_state(platform, user, session).boxed().await {
            Ok(Ok(expires_at)) => expires_at,
            Ok(Err(end)) => return end,
            Err(error) => {
                error.log();
                platform.now() + RETRY_DELAY
            }
        };
        tokio::select! {
            () = session_events.changed() => {}
            () = user_events.changed() => {}
            () = platform.clock.sleep_until(next_check) => {}
        }
    }
}

/// When a live session expires, or why it has ended.
async fn session_state(
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<Result<Timestamp, SessionEnd>> {
    let db = platform.database.reads();
    if let Some(session) = sessions::find_live(db, session, platform.now()).await? {
        return Ok(Ok(session.expires_at()));
    }
    Ok(Err(match people::find_by_id(db, user).await? {
        Some(_) => SessionEnd::Ended,
        None => SessionEnd::AccountDeleted,
    }))
}

/// Waits until the user is no longer an administrator.
pub async fn admin_revoked(platform: &Platform, user: UserId) {
    let mut user_events = platform.events.listen(user_topic(user));
    loop {
        match people::find_by_id(platform.database.reads(), user).await.map_err(Error::from) {
            Ok(Some(person)) if person.role == Role::Admin => user_events.changed().await,
            Ok(_) => return,
            Err(error) => {
                error.log();
                platform.clock.sleep_until(platform.now() + RETRY_DELAY).await;
            }
        }
    }
}
