//! The job that folds activity into bitmaps.

use std::collections::BTreeMap;
use std::time::Duration;

use roaring::RoaringBitmap;

use super::entity::active_people::{self, Key};
use super::entity::user_activity::{self, ActivePerson};
use crate::error::Result;
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
/// While much waits, as after an upgrade that counts the history, each bitmap is written for more rows at once.
const MAX_BATCH_SIZE: u64 = 50_000;
/// The buckets that have bitmaps.
pub const BUCKETS: [Bucket; 4] = [Bucket::Month, Bucket::Week, Bucket::Day, Bucket::Hour];

/// Folds all activity once a minute, or sooner if much waits, when this instance gets the lease. Returns when to run
/// again.
pub async fn fold_activity(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |lease| {
        let now = platform.now();
        let folded_at = lease.watermark.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let next_at = folded_at.map_or(now, |folded_at| folded_at + FOLD_INTERVAL);
        let waiting =
            user_activity::count_unfolded(platform.database.reads(), MAX_BATCH_SIZE).await?;
        if waiting == 0 || (waiting < BATCH_SIZE && is_waiting(now, next_at, FOLD_INTERVAL)) {
            return Ok(now + INTERVAL);
        }
        let batch_size = waiting.max(BATCH_SIZE);
        while fold_batch(platform, lease, batch_size).await? == batch_size {}
        Ok(now + INTERVAL)
    })
    .await
}

async fn fold_batch(platform: &Platform, lease: &Lease, batch_size: u64) -> Result<u64> {
    let tx = platform.begin_batch().await?;
    lease.save_watermark(platform, &tx, &platform.now().to_rfc3339()).await?;
    tx.lock_exclusively(TransactionLock::ActivePeople).await?;
    plan_each_statement(&tx).await?;
    let rows = user_activity::take_unfolded(&tx, batch_size).await?;
    let count = rows.len() as u64;
    add_to_bitmaps(&tx, bitmaps_of(&rows)?).await?;
    // Tells watchers that counts may have changed.
    record(&tx, platform, [Delta::of_all_time("folded_activity", "", count.cast_signed())]).await?;
    tx.commit().await?;
    Ok(count)
}

/// The bitmaps of all buckets that contain these hours. Who played was also active.
fn bitmaps_of(rows: &[ActivePerson]) -> Result<BTreeMap<Key, RoaringBitmap>> {
    let mut bitmaps: BTreeMap<Key, RoaringBitmap> = BTreeMap::new();
    for person in rows {
        let number = person.number()?;
        for bucket in BUCKETS {
            let start = bucket.start_of(person.hour);
            bitmaps.entry((bucket, start, String::new())).or_default().insert(number);
            if !person.game.is_empty() {
                bitmaps.entry((bucket, start, person.game.clone())).or_default().insert(number);
            }
        }
    }
    Ok(bitmaps)
}

async fn add_to_bitmaps(tx: &Work, mut bitmaps: BTreeMap<Key, RoaringBitmap>) -> Result<()> {
    let keys: Vec<Key> = bitmaps.keys().cloned().collect();
    active_people::for_each(tx, &keys, |key, stored| {
        if let Some(bitmap) = bitmaps.get_mut(&key) {
            *bitmap |= stored;
        }
        Ok(())
    })
    .await?;
    active_people::write_many(tx, bitmaps).await
}
