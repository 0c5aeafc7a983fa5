//! Building of bitmaps from the rows of activity again.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;

use super::entity::active_people::{self, Key};
use super::entity::user_activity;
use super::fold::{BUCKETS, bitmaps_of};
use crate::error::Result;
use crate::platform::clock::Timestamp;
use crate::platform::database::{TransactionLock, Work};
use crate::platform::statistics::Bucket;

/// A bitmap that differed from the rows of activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitmapDifference {
    /// The bucket.
    pub bucket: Bucket,
    /// Its start.
    pub start: Timestamp,
    /// The game. Empty: any activity.
    pub game: String,
    /// How many people it had.
    pub stored: u64,
    /// How many people were active.
    pub counted: u64,
}

/// Builds the bitmaps of the buckets that begin in a month, if all their rows are there: they begin at `complete_since` or
/// later. Returns those that differed.
pub async fn rebuild_month(
    tx: &Work,
    month: Timestamp,
    complete_since: Timestamp,
) -> Result<Vec<BitmapDifference>> {
    tx.lock_exclusively(TransactionLock::ActivePeople).await?;
    let next_month = Bucket::Month.next(month);
    // The last week may end in the next month.
    let until = Bucket::Week.start_from(next_month).max(next_month);
    let rows = user_activity::find_folded(tx, month.max(complete_since), until).await?;
    let is_rebuilt =
        |(_, start, _): &Key| (month..next_month).contains(start) && *start >= complete_since;
    let counted = bitmaps_of(&rows)?.into_iter().filter(|(key, _)| is_rebuilt(key));
    let mut counted: BTreeMap<Key, RoaringBitmap> = counted.collect();
    let mut stored = BTreeMap::new();
    for bucket in BUCKETS {
        stored.extend(active_people::find_starting_in(tx, bucket, month, next_month).await?);
    }
    stored.retain(|key, _| is_rebuilt(key));
    let keys: BTreeSet<Key> = counted.keys().chain(stored.keys()).cloned().collect();
    let (mut differences, mut changed) = (Vec::new(), Vec::new());
    for key in keys {
        let (before, after) =
            (stored.remove(&key).unwrap_or_default(), counted.remove(&key).unwrap_or_default());
        if before != after {
            let (bucket, start, game) = key.clone();
            let (stored, counted) = (before.len(), after.len());
            differences.push(BitmapDifference { bucket, start, game, stored, counted });
            changed.push((key, after));
        }
    }
    active_people::write_many(tx, changed).await?;
    Ok(differences)
}
