//! Where sessions stand, remembered: the check that every request needs, without a statement each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::entity::sessions;
use super::lineage::Line;
use crate::error::Result;
use crate::ids::{SessionId, UserId};
use crate::people::{self, Role};
use crate::platform::Platform;
use crate::platform::clock::{Instant, is_waiting};

const REMEMBERED: usize = 100_000;
/// Nothing is remembered for longer, heard or not.
const HOLDS: Duration = Duration::from_mins(1);

/// A session that was not over when it was read.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Whose it is.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The line of its tokens.
    pub line: Line,
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
    /// Where a session stood when it was last read. None: it must be read.
    pub fn remembered(&self, session: SessionId, now: Instant) -> Option<Standing> {
        let standing = self.remembered.get(&session)?;
        is_waiting(now, standing.holds_until, HOLDS).then_some(standing)
    }

    /// Where a session stands in the database. None: it is over.
    pub async fn read(
        &self,
        platform: &Platform,
        session: SessionId,
        may_remember: bool,
    ) -> Result<Option<Standing>> {
        let heard = self.endings.load(Ordering::Acquire);
        let standing = read(platform, session, platform.now()).await?;
        if let Some(standing) = &standing
            && may_remember
        {
            self.remembered.insert(session, standing.clone());
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
    let (line, holds_until) = (Line::of(&session), session.expires_at().min(now + HOLDS));
    Ok(person.map(|person| Standing { user: person.id, role: person.role, line, holds_until }))
}
