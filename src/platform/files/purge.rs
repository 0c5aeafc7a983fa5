//! Purge of unfinished objects, which killed processes leave in a folder.

use std::time::Duration;

use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_unfinished_files";
const INTERVAL: Duration = Duration::from_hours(24);
/// A partial file that was not written to for this long is abandoned.
const MAX_AGE: Duration = Duration::from_hours(24);

/// Deletes unfinished objects that nobody has written to for a day, when this instance gets the lease.
pub async fn purge_unfinished(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        platform.files.delete_partial_files(now - MAX_AGE).await?;
        Ok(now + INTERVAL)
    })
    .await
}
