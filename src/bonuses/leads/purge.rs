//! Purge of tests, of leads whose form was never configured, and of what waiting leads say about people.

use std::time::Duration;

use crate::bonuses::entity::leads;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_leads";
const INTERVAL: Duration = Duration::from_hours(1);
/// How long tests, leads of unknown forms and leads that cannot be applied are kept.
const RETENTION: Duration = Duration::from_hours(30 * 24);

/// Deletes tests and leads of unknown forms that are 30 days old. Rejects other leads that have waited as long, and
/// deletes their numbers and consents.
pub async fn purge_leads(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        leads::purge(platform, now - RETENTION).await?;
        let work = platform.begin_batch().await?;
        leads::expire(&work, now - RETENTION, now).await?;
        work.commit().await?;
        Ok(now + INTERVAL)
    })
    .await
}
