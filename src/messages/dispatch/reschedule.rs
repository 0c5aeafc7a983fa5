//! Rescheduling after the clock was set back: due times that were set before lie too far in the future, and are moved
//! to the latest time that is possible now.

use chrono::TimeDelta;

use super::circuit_breaker;
use super::timing::{RECEIPT_GRACE, RECONCILE_AFTER, RETRY_BACKOFF, SEND_LEASE_DURATION};
use crate::error::Result;
use crate::messages::Messages;
use crate::messages::entity::messages::{self, BATCH_SIZE, LatestDueTimes};
use crate::platform::Platform;
use crate::platform::clock::MAX_SKEW;

/// Smaller steps backwards are normal adjustments of the clock.
const MAX_ADJUSTMENT: TimeDelta = TimeDelta::seconds(1);

/// Moves due times that are later than any delay allows. If this instance noticed that its clock was set back, all
/// waiting messages become due and the gateways are probed, because the remaining delays are not known.
pub async fn reschedule_after_set_back(messages: &Messages, platform: &Platform) -> Result<()> {
    let was_set_back = detect_set_back(messages, platform);
    if was_set_back {
        circuit_breaker::end_cooldowns(messages, platform).await?;
    }
    // A gateway that can be queried needs time to process the message first.
    let can_query_status = messages.gateways.iter().any(|gateway| gateway.can_query_status());
    let unknown_delay = match was_set_back && !can_query_status {
        true => RECEIPT_GRACE,
        false => RECONCILE_AFTER,
    };
    loop {
        let now = platform.now();
        let latest = LatestDueTimes {
            past_event: if was_set_back { now } else { now + MAX_SKEW },
            queued: if was_set_back { now } else { now + RETRY_BACKOFF.max + MAX_SKEW },
            // The sender may still be working: grant it a full lease.
            sending: now + SEND_LEASE_DURATION,
            unknown: now + unknown_delay,
        };
        if !messages::has_due_later_than(platform.database.reads(), latest).await? {
            return Ok(());
        }
        let tx = platform.begin().await?;
        let rescheduled = messages::reschedule(&tx, latest, now).await?;
        tx.commit().await?;
        tracing::warn!(messages = rescheduled, "the clock was set back: messages are due sooner");
        if rescheduled < BATCH_SIZE {
            return Ok(());
        }
    }
}

/// Computes the start of this instance again. Returns whether the clock was set back since the last call, which makes
/// the start earlier.
fn detect_set_back(messages: &Messages, platform: &Platform) -> bool {
    let uptime = TimeDelta::from_std(platform.uptime()).unwrap_or(TimeDelta::MAX);
    let started_at = platform.now() - uptime;
    let before = messages.started_at.lock().replace(started_at);
    before.is_some_and(|before| started_at < before - MAX_ADJUSTMENT)
}
