//! Where each lane begins. Taking what is due from there, PostgreSQL does not step over all that has left the
//! lane since it was last vacuumed, or since the oldest transaction began: a backup may take hours.

use std::time::Duration;

use super::entity::messages;
use super::{Kind, Messages};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::jobs::POLL;

/// How much earlier than it is committed a message may be due, without waiting for the next look.
const COMMITTED_WITHIN: Duration = Duration::from_secs(5);

/// When it was looked, and what was found.
#[derive(Clone, Copy, Debug)]
pub struct Begins {
    /// By the uptime of the clock, which is never set back.
    looked_at: Duration,
    lanes: [Instant; Kind::LANES.len()],
}

impl Begins {
    /// Nothing that waited in a lane was due before.
    pub fn of(&self, kind: Kind) -> Instant {
        self.lanes[kind.lane()]
    }
}

/// As it was when it was last looked, which is at most a second ago.
pub async fn begins(room: &Messages, platform: &Platform, tx: &Work) -> Result<Begins> {
    let (now, uptime) = (platform.now(), platform.uptime());
    let last = *room.begins.lock();
    if let Some(last) = last.filter(|last| uptime < last.looked_at + POLL) {
        return Ok(last);
    }
    let mut lanes = [now - COMMITTED_WITHIN; Kind::LANES.len()];
    for (kind, begins) in Kind::LANES.into_iter().zip(&mut lanes) {
        if let Some(first) = messages::first_due(tx, kind, now).await? {
            *begins = first.min(*begins);
        }
    }
    let begins = Begins { looked_at: uptime, lanes };
    *room.begins.lock() = Some(begins);
    Ok(begins)
}
