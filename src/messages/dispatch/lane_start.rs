//! Lower bound of `due_at` per lane, so that claiming skips dead index entries. Without it, PostgreSQL steps over all
//! messages that left the lane since the last vacuum, or since the oldest transaction began (a backup may take hours).

use std::time::Duration;

use parking_lot::Mutex;

use crate::error::Result;
use crate::messages::Kind;
use crate::messages::entity::messages;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::jobs::POLL_INTERVAL;

/// The start is at least this far back, for messages that are committed later than they are due.
const MAX_COMMIT_DELAY: Duration = Duration::from_secs(5);

/// The start of each lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneStarts {
    /// By the uptime of the clock, which is never set back.
    refreshed_at: Duration,
    starts: [Timestamp; Kind::LANES.len()],
}

impl LaneStarts {
    /// No queued message of the lane is due before this.
    pub fn lane_start(&self, kind: Kind) -> Timestamp {
        self.starts[kind.lane_index()]
    }
}

/// Cache of the lane starts.
#[derive(Debug, Default)]
pub struct LaneStartCache(Mutex<Option<LaneStarts>>);

impl LaneStartCache {
    /// Loads the lane starts; they are at most a second old.
    pub async fn load(&self, platform: &Platform, tx: &Work) -> Result<LaneStarts> {
        let (now, uptime) = (platform.now(), platform.uptime());
        let cached = *self.0.lock();
        if let Some(cached) = cached.filter(|cached| uptime < cached.refreshed_at + POLL_INTERVAL) {
            return Ok(cached);
        }
        let mut starts = [now - MAX_COMMIT_DELAY; Kind::LANES.len()];
        for (kind, start) in Kind::LANES.into_iter().zip(&mut starts) {
            if let Some(first) = messages::find_first_due_at(tx, kind, now).await? {
                *start = first.min(*start);
            }
        }
        let refreshed = LaneStarts { refreshed_at: uptime, starts };
        *self.0.lock() = Some(refreshed);
        Ok(refreshed)
    }
}
