//! Retention: clears texts after `SMS_BODIES_DAYS` (the rows and their numbers stay), compacts the counts of
//! transitions, and purges expired unmatched receipts.

use std::time::Duration;

use super::Messages;
use super::entity::{messages, transitions, unmatched_receipts};
use crate::error::Result;
use crate::ids::{self, MessageId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::{Lease, run_on_one_instance};

const JOB_NAME: &str = "apply_message_retention";
const INTERVAL: Duration = Duration::from_secs(10);
const COMPACTION_BATCH_SIZE: u64 = 2_000;
/// A little longer than the window of the send rate, which is computed from single transitions.
const COMPACT_AFTER: Duration = Duration::from_secs(70);

/// Applies the retention to one batch, if it is due and no other instance applies it. Returns when the next is due.
pub async fn apply_retention(
    messages: &Messages,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |lease| {
        apply_to_batch(messages, platform, lease).await
    })
    .await
}

async fn apply_to_batch(
    messages: &Messages,
    platform: &Platform,
    lease: &Lease,
) -> Result<Timestamp> {
    let now = platform.now();
    let tx = platform.begin_batch().await?;
    lease.fence(platform, &tx).await?;
    let compacted =
        transitions::compact(&tx, platform, now - COMPACT_AFTER, COMPACTION_BATCH_SIZE).await?;
    unmatched_receipts::purge_expired(&tx, now).await?;
    let after = lease.watermark.as_deref().and_then(ids::parse::<MessageId>);
    let clear_before = now - messages.settings.body_retention;
    let last_cleared = messages::clear_bodies(&tx, after, clear_before).await?;
    let may_be_more = last_cleared.is_some() || compacted == COMPACTION_BATCH_SIZE;
    if let Some(last_cleared) = last_cleared {
        lease.save_watermark(platform, &tx, &last_cleared.to_string()).await?;
    }
    tx.commit().await?;
    Ok(if may_be_more { now } else { now + INTERVAL })
}
