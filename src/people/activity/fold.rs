//! The job that folds activity into bitmaps.

use std::collections::BTreeMap;
use std::time::Duration;

use roaring::RoaringBitmap;

use super::entity::active_people::{self, Key};
use super::entity::user_activity::{self, ActivePerson};
use crate::error::{Error, Result};
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_waiting};
use crate::platform::database::{TransactionLock, Work, plan_each_statement};
use crate::platform::jobs::{Lease, run_on_one_instance};
use crate::platform::statistics::{Bucket, Delta, record};

const JOB_NAME: &str = "fold_activity";
const INTERVAL: Duration = Duration::from_secs(10);
/// A bitmap of a month may have 125 kB: it is not written for each row.
const FOLD_INTERVAL: Duration = Duration::from_mins(1);
const BATCH_SIZE: u64 = 10_000;
/// The buckets that have bitmaps.
pub const BUCKETS: [Bucket; 4] = [Bucket::Month, Bucket::Week, Bucket::Day, Bucket::Hour];

/// Folds all activity once a minute, or sooner if much waits, when this instance gets the lease. Returns when to run
/// again.
pub async fn fold_activity(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |lease| {
        let now = platform.now();
        let folded_at = lease.watermark.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let next_at = folded_at.map_or(now, |folded_at| folded_at + FOLD_INTERVAL);
        let waiting = user_activity::count_unfolded(platform.database.reads(), BATCH_SIZE).await?;
        if waiting == 0 || (waiting < BATCH_SIZE && is_waiting(now, next_at, FOLD_INTERVAL)) {
            return Ok(now + INTERVAL);
        }
        while fold_batch(platform, lease).await? == BATCH_SIZE {}
        Ok(now + INTERVAL)
    })
    .await
}

async fn fold_batch(platform: &Platform, lease: &Lease) -> Result<u64> {
    let tx = platform.begin_batch().await?;
    lease.save_watermark(platform, &tx, &platform.now().to_rfc3339()).await?;
    tx.lock_exclusively(TransactionLock::ActivePeople).await?;
    plan_each_statement(&tx).await?;
    let rows = user_activity::take_unfolded(&tx, BATCH_SIZE).await?;
    let count = rows.len() as u64;
    add_to_bitmaps(&tx, bitmaps_of(&rows)?).await?;
    // Tells watchers that counts may have changed.
    record(&tx, platform, [Delta::of_all_time("folded_activity", "", count.cast_signed())]).await?;
    tx.commit().await?;
    Ok(count)
}

/// The bitmaps of all buckets that contain these hours. Who played was also active.
pub fn bitmaps_of(rows: &[ActivePerson]) -> Result<BTreeMap<Key, RoaringBitmap>> {
    let mut bitmaps: BTreeMap<Key, RoaringBitmap> = BTreeMap::new();
    for ActivePerson { hour, game, user_number } in rows {
        let number = u32::try_from(*user_number).map_err(Error::internal)?;
        for bucket in BUCKETS {
            let start = bucket.start_of(*hour);
            bitmaps.entry((bucket, start, String::new())).or_default().insert(number);
            if !game.is_empty() {
                bitmaps.entry((bucket, start, game.clone())).or_default().insert(number);
            }
        }
    }
    Ok(bitmaps)
}

async fn add_to_bitmaps(tx: &Work, mut bitmaps: BTreeMap<Key, RoaringBitmap>) -> Result<()> {
    let stored = active_people::find_many(tx, bitmaps.keys()).await?;
    for ((bucket, start, game), bitmap) in &mut bitmaps {
        let key = (bucket.as_str().to_owned(), *start, game.clone());
        if let Some(stored) = stored.get(&key) {
            *bitmap |= stored;
        }
    }
    active_people::write_many(tx, bitmaps).await
}
