//! Purge of unfinished objects, which killed processes leave in a folder.

use std::time::Duration;

use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::acquire_lease;

const LEASE_NAME: &str = "files.purge_unfinished";
const INTERVAL: Duration = Duration::from_hours(24);
/// Whoever still writes an object has written within this time.
const MAX_AGE: Duration = Duration::from_hours(24);

/// Deletes unfinished objects that nobody has written to for a day, when this instance gets the lease.
pub async fn purge_unfinished(platform: &Platform) -> Result<Option<Timestamp>> {
    let Some(lease) = acquire_lease(platform, LEASE_NAME, INTERVAL).await? else {
        return Ok(None);
    };
    let now = platform.now();
    platform.files.delete_partial_files(now - MAX_AGE).await?;
    let tx = platform.begin().await?;
    lease.release(&tx, None, now + INTERVAL).await?;
    tx.commit().await?;
    Ok(None)
}
