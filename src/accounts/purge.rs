//! Purging of expired revocations, sessions and codes, after their retention.

use std::time::Duration;

use super::entity::{challenges, revocations, sessions};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::acquire_lease;

const LEASE_NAME: &str = "accounts.purge_expired";
const INTERVAL: Duration = Duration::from_mins(10);

/// Purges expired rows once per interval, on one of the instances.
pub async fn purge_expired(platform: &Platform) -> Result<Option<Timestamp>> {
    let Some(lease) = acquire_lease(platform, LEASE_NAME, INTERVAL).await? else { return Ok(None) };
    let now = platform.now();
    revocations::purge_expired(platform, now).await?;
    sessions::purge_expired(platform, now).await?;
    challenges::purge_expired(platform, now).await?;
    let tx = platform.begin().await?;
    lease.release(&tx, None, now + INTERVAL).await?;
    tx.commit().await?;
    Ok(None)
}
