//! Purge of the leaderboards of past days, weeks and months, after a retention.

use std::time::Duration;

use super::entity::{leaderboard_buckets, leaderboard_rows, leaderboard_state};
use super::leaderboard_scope::Period;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::{Lease, run_on_one_instance};

const JOB_NAME: &str = "purge_leaderboards";
const INTERVAL: Duration = Duration::from_mins(10);
/// How long a leaderboard is kept after its period, for rounds that are counted late.
pub(super) const RETENTION: Duration = Duration::from_hours(7 * 24);
const BATCH_SIZE: u64 = 1_000;

/// Deletes a batch of expired leaderboard rows, when this instance gets the lease. Returns when to run again.
pub async fn purge_expired_leaderboards(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |lease| {
        purge_batch(platform, lease).await
    })
    .await
}

async fn purge_batch(platform: &Platform, lease: &Lease) -> Result<Timestamp> {
    let now = platform.now();
    let tx = platform.begin_batch().await?;
    lease.fence(platform, &tx).await?;
    leaderboard_state::lock(&tx).await?;
    let mut has_more = false;
    for period in Period::ALL {
        // Keeps the leaderboard whose period contains the cutoff, and all later ones.
        let (from, to) = (format!("{}:", period.name()), period.key_prefix(now - RETENTION));
        let deleted = leaderboard_rows::delete_between(&tx, &from, &to, BATCH_SIZE).await?;
        match deleted == BATCH_SIZE {
            true => has_more = true,
            false => leaderboard_buckets::delete_between(&tx, &from, &to).await?,
        }
    }
    tx.commit().await?;
    Ok(if has_more { now } else { now + INTERVAL })
}
