//! Where sessions stand, remembered: the check that every request needs, without a statement each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::entity::sessions;
use crate::error::Result;
use crate::ids::{SessionId, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;
use crate::platform::clock::Instant;

const REMEMBERED: usize = 100_000;
/// Nothing is remembered for longer, heard or not.
const HOLDS: Duration = Duration::from_mins(1);

/// A session that was not over when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// When it must be read again: soon, and by the session's end at the latest.
    pub holds_until: Instant,
}

/// The sessions that were read.
pub struct Standings {
    remembered: Cache<SessionId, Standing>,
    /// How many endings were heard of: what was read before the last one is not remembered.
    endings: AtomicU64,
}

impl Default for Standings {
    fn default() -> Self {
        Self { remembered: Cache::new(REMEMBERED), endings: AtomicU64::new(0) }
    }
}

impl Standings {
    /// Where a session stands: from memory if that may be trusted now, else from the database. `None`
    /// when it is over.
    pub async fn of(
        &self,
        platform: &Platform,
        session: SessionId,
        may_remember: bool,
    ) -> Result<Option<Standing>> {
        let now = platform.now();
        if may_remember
            && let Some(standing) = self.remembered.get(&session).filter(|s| now < s.holds_until)
        {
            return Ok(Some(standing));
        }
        let heard = self.endings.load(Ordering::Acquire);
        let standing = read(platform, session, now).await?;
        if let Some(standing) = standing
            && may_remember
        {
            self.remembered.insert(session, standing);
            // Something ended while it was read: what was read may be from before.
            if heard != self.endings.load(Ordering::Acquire) {
                self.remembered.remove(&session);
            }
        }
        Ok(standing)
    }

    /// Forgets one session.
    pub fn forget(&self, session: SessionId) {
        self.endings.fetch_add(1, Ordering::AcqRel);
        self.remembered.remove(&session);
    }

    /// Forgets every session of a user.
    pub fn forget_user(&self, user: UserId) {
        self.endings.fetch_add(1, Ordering::AcqRel);
        self.remembered.retain(|_, standing| standing.user != user);
    }

    /// Forgets everything: some endings were not heard of.
    pub fn forget_all(&self) {
        self.endings.fetch_add(1, Ordering::AcqRel);
        self.remembered.clear();
    }
}

async fn read(platform: &Platform, session: SessionId, now: Instant) -> Result<Option<Standing>> {
    let db = platform.database.reads();
    let Some(session) = sessions::by_id(db, session, now).await? else { return Ok(None) };
    let person = people::by_id(db, session.user_id).await?;
    let holds_until = session.expires_at().min(now + HOLDS);
    Ok(person.map(|person| Standing { user: person.id, role: person.role, holds_until }))
}
