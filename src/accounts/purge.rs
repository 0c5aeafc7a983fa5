//! Purging of expired revocations, sessions and codes, after their retention.

use std::time::Duration;

use super::entity::{challenges, revocations, sessions};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::BATCH_TIMEOUT;
use crate::platform::jobs::acquire_lease;

const LEASE_NAME: &str = "accounts.purge_expired";
const INTERVAL: Duration = Duration::from_mins(10);

/// Purges expired rows once per interval, on one of the instances.
pub async fn purge_expired(platform: &Platform) -> Result<Option<Timestamp>> {
    let Some(lease) = acquire_lease(platform, LEASE_NAME, INTERVAL).await? else { return Ok(None) };
    let now = platform.now();
    // One transaction per table: a common one could deadlock with others that lock these rows in another order.
    let tx = platform.begin_with_timeout(BATCH_TIMEOUT).await?;
    revocations::purge_expired(&tx, now).await?;
    tx.commit().await?;
    let tx = platform.begin_with_timeout(BATCH_TIMEOUT).await?;
    sessions::purge_expired(&tx, now).await?;
    tx.commit().await?;
    let tx = platform.begin_with_timeout(BATCH_TIMEOUT).await?;
    challenges::purge_expired(&tx, now).await?;
    lease.release(&tx, None, now + INTERVAL).await?;
    tx.commit().await?;
    Ok(None)
}
