//! Purging of expired revocations, sessions and codes, after their retention.

use std::time::Duration;

use super::entity::{challenges, revocations, sessions};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_sessions";
const INTERVAL: Duration = Duration::from_mins(10);

/// Purges expired rows once per interval, on one of the instances.
pub async fn purge_expired(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        revocations::purge_expired(platform, now).await?;
        sessions::purge_expired(platform, now).await?;
        challenges::purge_expired(platform, now).await?;
        Ok(now + INTERVAL)
    })
    .await
}
