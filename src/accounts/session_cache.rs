//! Cache of live sessions: the check that each request needs, without a query.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::entity::sessions;
use super::token_family::TokenFamily;
use crate::error::Result;
use crate::ids::{SessionId, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_waiting};

const CAPACITY: usize = 100_000;
/// Entries expire after this time, even if no revocation arrives.
const TTL: Duration = Duration::from_mins(1);

/// A session that was live when it was read.
#[derive(Clone, Debug)]
pub struct CachedSession {
    /// The session's owner.
    pub user: UserId,
    /// The owner's role.
    pub role: Role,
    /// Decides which tokens the session accepts.
    pub token_family: TokenFamily,
    /// When the entry expires: at the session's expiry at the latest.
    pub valid_until: Timestamp,
}

/// Live sessions by their ids.
pub struct SessionCache {
    entries: Cache<SessionId, CachedSession>,
    /// Counts invalidations: a session that was read before the last of them is not cached.
    invalidations: AtomicU64,
}

impl Default for SessionCache {
    fn default() -> Self {
        Self { entries: Cache::new(CAPACITY), invalidations: AtomicU64::new(0) }
    }
}

impl SessionCache {
    /// A session, unless it is not cached or its entry has expired.
    pub fn get(&self, session: SessionId, now: Timestamp) -> Option<CachedSession> {
        let cached = self.entries.get(&session)?;
        is_waiting(now, cached.valid_until, TTL).then_some(cached)
    }

    /// Reads a session from the database, and caches it if `may_cache`. None if the session is not live.
    pub async fn load(
        &self,
        platform: &Platform,
        session: SessionId,
        may_cache: bool,
    ) -> Result<Option<CachedSession>> {
        let invalidations = self.invalidations.load(Ordering::Acquire);
        let loaded = load_session(platform, session, platform.now()).await?;
        if let Some(loaded) = &loaded
            && may_cache
        {
            self.entries.insert(session, loaded.clone());
            // Something was invalidated while the session was read, so it may be outdated.
            if invalidations != self.invalidations.load(Ordering::Acquire) {
                self.entries.remove(&session);
            }
        }
        Ok(loaded)
    }

    /// Drops one session.
    pub fn invalidate(&self, session: SessionId) {
        self.invalidations.fetch_add(1, Ordering::AcqRel);
        self.entries.remove(&session);
    }

    /// Drops all sessions of a user.
    pub fn invalidate_user(&self, user: UserId) {
        self.invalidations.fetch_add(1, Ordering::AcqRel);
        self.entries.retain(|_, cached| cached.user != user);
    }

    /// Drops all sessions: some revocations may have been missed.
    pub fn clear(&self) {
        self.invalidations.fetch_add(1, Ordering::AcqRel);
        self.entries.clear();
    }
}

async fn load_session(
    platform: &Platform,
    session: SessionId,
    now: Timestamp,
) -> Result<Option<CachedSession>> {
    let db = platform.database.reads();
    let Some(session) = sessions::find_live(db, session, now).await? else { return Ok(None) };
    let person = people::find_by_id(db, session.user_id).await?;
    let token_family = TokenFamily::from_session(&session);
    let valid_until = session.expires_at().min(now + TTL);
    Ok(person.map(|person| CachedSession {
        user: person.id,
        role: person.role,
        token_family,
        valid_until,
    }))
}
