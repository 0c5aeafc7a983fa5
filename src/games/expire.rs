//! Expiry of rounds that were not played in time. Expired rounds are kept, with their seeds revealed.

use std::time::Duration;

use super::entity::rounds;
use super::sealed_seed::revealed_seed;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "expire_rounds";
const INTERVAL: Duration = Duration::from_secs(10);
const BATCH_SIZE: u64 = 500;

/// Expires all overdue rounds, when this instance gets the lease.
pub async fn expire_all_overdue(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        while expire_overdue(platform, None).await? == BATCH_SIZE {}
        Ok(platform.now() + INTERVAL)
    })
    .await
}

/// Expires a batch of overdue rounds, of one user or of all. Returns how many.
pub async fn expire_overdue(platform: &Platform, user: Option<UserId>) -> Result<u64> {
    let db = platform.database.reads();
    let overdue = rounds::find_overdue(db, user, platform.now(), BATCH_SIZE).await?;
    if overdue.is_empty() {
        return Ok(0);
    }
    // One statement per round: a transaction over several rounds could deadlock with an account's deletion.
    let db = platform.database.writes();
    for round in &overdue {
        rounds::set_expired(db, round.id, revealed_seed(platform, round)).await?;
    }
    Ok(overdue.len() as u64)
}
