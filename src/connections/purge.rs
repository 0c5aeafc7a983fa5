//! Purge of the calls and mappings whose time is over.

use std::time::Duration;

use super::call_log::CALL_RETENTION;
use super::entity::{calls, mappings};
use super::mappings::MAPPING_LIFETIME;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_connections";
const INTERVAL: Duration = Duration::from_mins(10);

/// Deletes old calls and unused mappings, when this instance gets the lease. Returns when to run again.
pub async fn purge_expired(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        calls::purge_before(platform, now - CALL_RETENTION).await?;
        mappings::purge_unused(platform, now - MAPPING_LIFETIME).await?;
        Ok(now + INTERVAL)
    })
    .await
}
