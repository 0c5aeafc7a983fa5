//! The job that folds recorded deltas into sums.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bucket::Bucket;
use super::entity::deltas;
use super::entity::sums::{self, Addend};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::{Lease, run_on_one_instance};

const JOB_NAME: &str = "fold_statistics";
const INTERVAL: Duration = Duration::from_secs(5);
const BATCH_SIZE: u64 = 10_000;
/// The buckets whose sums are stored. Weeks are sums of days.
const STORED: [Bucket; 3] = [Bucket::Hour, Bucket::Day, Bucket::Month];

/// Folds all deltas, when this instance gets the lease. Returns when to run again.
pub async fn fold(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |lease| {
        while fold_batch(platform, lease).await? == BATCH_SIZE {}
        Ok(platform.now() + INTERVAL)
    })
    .await
}

/// Folds a batch of deltas. Returns how many. Only deltas that this transaction deletes are added, so each is added
/// once even if two instances fold at the same time.
async fn fold_batch(platform: &Platform, lease: &Lease) -> Result<u64> {
    let tx = platform.begin_batch().await?;
    lease.fence(platform, &tx).await?;
    let taken = deltas::take(&tx, BATCH_SIZE).await?;
    if taken.is_empty() {
        return Ok(0);
    }
    let count = taken.len();
    let mut amounts: BTreeMap<_, i64> = BTreeMap::new();
    // For `count_changes`.
    let folded = ("folded_deltas".to_owned(), String::new());
    amounts.insert((None, folded), i64::try_from(count).unwrap_or(i64::MAX));
    for delta in taken {
        let name = (delta.measure, delta.dimension);
        let Some(hour) = delta.hour else {
            *amounts.entry((None, name)).or_default() += delta.amount;
            continue;
        };
        for bucket in STORED {
            let bucket = Some((bucket, bucket.start_of(hour)));
            *amounts.entry((bucket, name.clone())).or_default() += delta.amount;
        }
    }
    let changed = amounts.into_iter().filter(|(_, amount)| *amount != 0);
    let addends: Vec<Addend> =
        changed.map(|((bucket, name), amount)| Addend::new(bucket, name, amount)).collect();
    sums::add_many(&tx, &addends).await?;
    tx.commit().await?;
    Ok(count as u64)
}
