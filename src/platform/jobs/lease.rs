//! Leases: let one instance at a time run a job that is due for all instances.

use std::time::Duration;

use super::entity;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_waiting};
use crate::platform::database::Work;

/// After this time another instance may acquire the lease, as its holder probably crashed.
const JOB_LEASE_DURATION: Duration = Duration::from_mins(5);

/// The right to run a job once.
#[derive(Debug)]
pub struct Lease {
    name: &'static str,
    expires_at: Timestamp,
    /// The progress that the last run saved.
    pub watermark: Option<String>,
}

/// Acquires the lease of a job, if the job is due and no other instance holds the lease. `interval` is the longest
/// time between two runs: a due time further ahead was set before the clock was set back, and is ignored.
pub async fn acquire_lease(
    platform: &Platform,
    name: &'static str,
    interval: Duration,
) -> Result<Option<Lease>> {
    let (now, max_wait) = (platform.now(), interval.max(JOB_LEASE_DURATION));
    match entity::find_by_name(platform.database.reads(), name).await? {
        Some(row) if is_waiting(now, row.due_at, max_wait) => return Ok(None),
        _ => {}
    }
    let expires_at = now + JOB_LEASE_DURATION;
    let tx = platform.begin().await?;
    let acquired = entity::acquire(&tx, name, (now, max_wait), expires_at).await?;
    tx.commit().await?;
    Ok(acquired.map(|watermark| Lease { name, expires_at, watermark }))
}

impl Lease {
    /// Saves the progress and when the job is due again, in a transaction. Without effect if the lease expired and
    /// another instance acquired it.
    pub async fn release(
        self,
        tx: &Work,
        watermark: Option<String>,
        next_due: Timestamp,
    ) -> Result<()> {
        Ok(entity::release(tx, self.name, self.expires_at, watermark, next_due).await?)
    }
}
