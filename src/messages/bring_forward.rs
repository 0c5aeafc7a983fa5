//! Messages whose next moment was set before the clock was set back: they are brought forward, so that none waits
//! for longer than it was meant to.

use chrono::TimeDelta;

use super::Messages;
use super::entity::messages::{self, CHUNK, Latest};
use super::health;
use super::settle::{RECEIPTS_COME_WITHIN, RETRY};
use super::take::LEASE;
use super::unknown::FIRST_LOOK;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::MAX_SKEW;

/// Clocks are adjusted by less all the time.
const ADJUSTMENT: TimeDelta = TimeDelta::seconds(1);

/// Brings forward what is due later than anything that is put off now. When this instance saw its clock set back,
/// everything that waits is due, and gateways that rest are tried: nobody knows how much of a wait is left.
pub async fn bring_forward(room: &Messages, platform: &Platform) -> Result<()> {
    let was_set_back = was_set_back(room, platform);
    if was_set_back {
        health::start(room, platform).await?;
    }
    // One that a gateway can be asked about is not asked for sooner than the gateway knows.
    let is_asked_about = room.gateways.iter().any(|gateway| gateway.can_find());
    let first_look = match was_set_back && !is_asked_about {
        true => RECEIPTS_COME_WITHIN,
        false => FIRST_LOOK,
    };
    loop {
        let now = platform.now();
        let latest = Latest {
            happened: if was_set_back { now } else { now + MAX_SKEW },
            queued: if was_set_back { now } else { now + RETRY.longest + MAX_SKEW },
            // A sender may be at work: its lease begins anew.
            sending: now + LEASE,
            unknown: now + first_look,
        };
        if !messages::is_any_later(platform.database.reads(), latest).await? {
            return Ok(());
        }
        let tx = platform.database.begin().await?;
        let brought = messages::bring_forward(&tx, latest, now).await?;
        tx.commit().await?;
        tracing::warn!(messages = brought, "the clock was set back: messages are due sooner");
        if brought < CHUNK {
            return Ok(());
        }
    }
}

/// Whether the clock was set back since the last call.
fn was_set_back(room: &Messages, platform: &Platform) -> bool {
    let uptime = TimeDelta::from_std(platform.uptime()).unwrap_or(TimeDelta::MAX);
    let started_at = platform.now() - uptime;
    let before = room.started_at.lock().replace(started_at);
    before.is_some_and(|before| started_at < before - ADJUSTMENT)
}
