//! Purge of old activity. Its bitmaps are kept.

use std::time::Duration;

use super::entity::user_activity;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_activity";
const INTERVAL: Duration = Duration::from_hours(1);
/// How long the bitmaps can be built again.
pub const ACTIVITY_RETENTION: Duration = Duration::from_hours(93 * 24);

/// Deletes old activity, when this instance gets the lease. Returns when to run again.
pub async fn purge_activity(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        user_activity::purge_before(platform, now - ACTIVITY_RETENTION).await?;
        Ok(now + INTERVAL)
    })
    .await
}
