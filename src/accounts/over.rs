//! When a session is over, for whoever holds a socket or a stream open on it.

use std::time::Duration;

use futures_util::FutureExt;

use super::entity::sessions;
use crate::error::{Error, Result};
use crate::ids::{SessionId, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;
use crate::platform::clock::Instant;

/// How long to wait before a database that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It was ended, or its time is over.
    Session,
    /// Its account is gone.
    Account,
}

impl Over {
    /// For the person or program at the other end.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Session => "The session has ended.",
            Self::Account => "The account has been deleted.",
        }
    }
}

/// The topic of a session's ending.
pub fn session_topic(session: SessionId) -> String {
    format!("session:{session}")
}

/// The topic of what concerns all sessions of a user: their ending, another role.
pub fn user_topic(user: UserId) -> String {
    format!("user:{user}")
}

/// Ends when the session is over, on whatever instance that was done, or when its time has come.
pub async fn session_over(platform: &Platform, user: UserId, session: SessionId) -> Over {
    let mut session_events = platform.events.listen(session_topic(session));
    let mut user_events = platform.events.listen(user_topic(user));
    loop {
        // In a box, which is gone when it is done: every socket waits here.
        let look_again = match standing(platform, user, session).boxed().await {
            Ok(Ok(expires_at)) => expires_at,
            Ok(Err(over)) => return over,
            Err(error) => {
                error.log();
                platform.now() + AGAIN
            }
        };
        tokio::select! {
            () = session_events.changed() => {}
            () = user_events.changed() => {}
            () = platform.clock.sleep_until(look_again) => {}
        }
    }
}

/// Until when the session lasts, or why it is over.
async fn standing(
    platform: &Platform,
    user: UserId,
    session: SessionId,
) -> Result<Result<Instant, Over>> {
    let db = platform.database.reads();
    let standing = sessions::by_id(db, session, platform.now()).await?;
    if let Some(session) = standing {
        return Ok(Ok(session.expires_at()));
    }
    Ok(Err(match people::by_id(db, user).await? {
        Some(_) => Over::Session,
        None => Over::Account,
    }))
}

/// Ends when somebody is no administrator any more.
pub async fn demoted(platform: &Platform, user: UserId) {
    let mut user_events = platform.events.listen(user_topic(user));
    loop {
        match people::by_id(platform.database.reads(), user).await.map_err(Error::from) {
            Ok(Some(person)) if person.role == Role::Admin => user_events.changed().await,
            Ok(_) => return,
            Err(error) => {
                error.log();
                platform.clock.sleep_until(platform.now() + AGAIN).await;
            }
        }
    }
}
