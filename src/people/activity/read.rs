//! Counts of distinct active people. Read within one report, so that no row is seen both folded and not, or neither.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use sea_orm::ConnectionTrait;

use super::entity::active_people::{self, Key};
use super::entity::user_activity;
use super::fold::BUCKETS;
use crate::error::Result;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::{Bucket, Piece, split_range};

/// Numbers of distinct active people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityCounts {
    /// In each bucket that has any.
    pub series: BTreeMap<Timestamp, i64>,
    /// In the whole range, for each game that was asked for.
    pub totals: Vec<i64>,
}

/// Counts the people who were active in a range of whole hours: in each bucket, if a kind of bucket is given, and in all,
/// for each of these games; "" is any activity. What is not folded yet is read once for all of it.
pub async fn read_activity(
    report: &Work,
    (from, until): (Timestamp, Timestamp),
    series: Option<Bucket>,
    games: &[&str],
) -> Result<ActivityCounts> {
    let mut by_start: BTreeMap<Timestamp, RoaringBitmap> = BTreeMap::new();
    let mut totals = vec![RoaringBitmap::new(); games.len()];
    user_activity::for_each_unfolded(report, from, until, |person| {
        let number = person.number()?;
        if let Some(bucket) = series {
            by_start.entry(bucket.start_of(person.hour)).or_default().insert(number);
        }
        for (game, people) in games.iter().zip(&mut totals) {
            if game.is_empty() || *game == person.game {
                people.insert(number);
            }
        }
        Ok(())
    })
    .await?;
    let pieces = if games.is_empty() { Vec::new() } else { split_range(from, until, &BUCKETS) };
    active_people::for_each_in(report, &pieces, Some(games), |(_, _, game), stored, _| {
        let mut totals = games.iter().zip(&mut totals);
        if let Some((_, people)) = totals.find(|(name, _)| **name == game) {
            *people |= stored;
        }
        Ok(())
    })
    .await?;
    let series = match series {
        Some(bucket) => read_series(report, Piece { bucket, from, until }, by_start).await?,
        None => BTreeMap::new(),
    };
    let totals = totals.iter().map(|people| people.len().cast_signed()).collect();
    Ok(ActivityCounts { series, totals })
}

/// The number of active people of each bucket that has any. Those who are not folded are in `unfolded`.
async fn read_series(
    report: &Work,
    buckets: Piece,
    mut unfolded: BTreeMap<Timestamp, RoaringBitmap>,
) -> Result<BTreeMap<Timestamp, i64>> {
    let stored = active_people::find_counts(report, buckets, "").await?;
    let mut counts: BTreeMap<Timestamp, i64> = stored.into_iter().collect();
    let key = |start: &Timestamp| (buckets.bucket, *start, String::new());
    let keys: Vec<Key> = unfolded.keys().map(key).collect();
    active_people::for_each(report, &keys, |(_, start, _), stored| {
        if let Some(people) = unfolded.remove(&start) {
            counts.insert(start, people.union_len(&stored).cast_signed());
        }
        Ok(())
    })
    .await?;
    counts.extend(unfolded.iter().map(|(start, people)| (*start, people.len().cast_signed())));
    Ok(counts)
}

/// While so many rows wait, each batch that is folded is a change of its own.
const MAX_COUNTED: u64 = 100_000;

/// The number of rows that are not folded, up to a limit. It grows with each new activity until they are folded.
pub async fn count_activity(db: &impl ConnectionTrait) -> Result<u64> {
    user_activity::count_unfolded(db, MAX_COUNTED).await
}
