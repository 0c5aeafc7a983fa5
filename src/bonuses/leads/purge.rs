//! Purge of leads that were kept in case that their form becomes known, and of tests.

use std::time::Duration;

use crate::bonuses::entity::leads;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_leads";
const INTERVAL: Duration = Duration::from_hours(1);
/// How long leads of unknown forms, and tests, are kept.
const RETENTION: Duration = Duration::from_hours(30 * 24);

/// Deletes leads of unknown forms, and tests, that are 30 days old.
pub async fn purge_leads(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        leads::purge(platform, now - RETENTION).await?;
        Ok(now + INTERVAL)
    })
    .await
}
