//! Reconciliation of the bitmaps of active people with the rows of activity and of rounds, day by day.
//!
//! Differences are found in a snapshot, without a lock, and corrected later. A correction is right whatever is recorded
//! and folded meanwhile: activity is never undone, and people are looked up again before they are removed.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::SelectStatement;

use super::entity::active_people::{self, Key};
use super::entity::user_activity;
use super::fold::BUCKETS;
use crate::error::Result;
use crate::platform::clock::Timestamp;
use crate::platform::database::{TransactionLock, Work};
use crate::platform::statistics::{Bucket, Piece};

/// A bitmap that was corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitmapDifference {
    /// The bucket.
    pub bucket: Bucket,
    /// Its start.
    pub start: Timestamp,
    /// The game. Empty: any activity.
    pub game: String,
    /// How many people it had.
    pub before: u64,
    /// How many people it has now.
    pub after: u64,
}

/// What is wrong with a bitmap.
#[derive(Debug)]
pub struct BitmapCorrection {
    key: Key,
    missing: RoaringBitmap,
    excess: RoaringBitmap,
    /// Whether the stored number of people is not that of the bitmap.
    is_miscounted: bool,
}

/// The people of a bucket, as the rows say.
#[derive(Clone, Debug, Default)]
struct People {
    /// Those of folded rows and of rounds.
    active: RoaringBitmap,
    /// Those of rows that are not folded yet. The bitmap may have them or not.
    waiting: RoaringBitmap,
}

impl People {
    fn add(&mut self, others: &Self) {
        self.active |= &others.active;
        self.waiting |= &others.waiting;
    }
}

/// The first hour in which anybody was active, as far as it is known.
pub async fn find_first_active_hour(db: &impl ConnectionTrait) -> Result<Option<Timestamp>> {
    let (row, bitmap) =
        (user_activity::find_first_hour(db).await?, active_people::find_first_hour(db).await?);
    Ok(row.into_iter().chain(bitmap).min())
}

/// Compares bitmaps with the rows, one day after the other.
#[derive(Debug)]
pub struct BitmapComparison {
    complete_since: Timestamp,
    /// Of the week and the month that are not over yet.
    longer: BTreeMap<Key, People>,
}

impl BitmapComparison {
    /// A comparison. Buckets that begin at `complete_since` or later have all their rows. Earlier ones keep whom they have,
    /// and only lack people.
    pub fn new(complete_since: Timestamp) -> Self {
        Self { complete_since, longer: BTreeMap::new() }
    }

    /// Compares the bitmaps of the next day and of its hours, and those of its week and month if they end with that day
    /// or if it is the last day. `plays` is a query of the day's players: hour, game and user_id.
    pub async fn compare_day(
        &mut self,
        snapshot: &Work,
        day: Timestamp,
        plays: SelectStatement,
        is_last: bool,
    ) -> Result<Vec<BitmapCorrection>> {
        let next_day = Bucket::Day.next(day);
        let mut people = std::mem::take(&mut self.longer);
        for ((hour, game), of_hour) in read_day(snapshot, day, plays).await? {
            let mut names = vec![String::new()];
            names.extend(Some(game).filter(|game| !game.is_empty()));
            for (bucket, name) in
                BUCKETS.iter().flat_map(|bucket| names.iter().map(move |name| (bucket, name)))
            {
                let key = (*bucket, bucket.start_of(hour), name.clone());
                people.entry(key).or_default().add(&of_hour);
            }
        }
        let is_over = |bucket: Bucket| is_last || bucket.next(bucket.start_of(day)) <= next_day;
        let pieces = BUCKETS.into_iter().filter(|bucket| is_over(*bucket)).map(|bucket| Piece {
            bucket,
            from: bucket.start_of(day),
            until: if bucket == Bucket::Hour {
                next_day
            } else {
                bucket.next(bucket.start_of(day))
            },
        });
        let pieces: Vec<Piece> = pieces.collect();
        let mut stored = BTreeMap::new();
        active_people::for_each_in(snapshot, &pieces, None, |key, bitmap, count| {
            stored.insert(key, (bitmap, count));
            Ok(())
        })
        .await?;
        let (over, longer) = people.into_iter().partition(|((bucket, ..), _)| is_over(*bucket));
        self.longer = longer;
        Ok(self.compare(over, stored))
    }

    fn compare(
        &self,
        mut people: BTreeMap<Key, People>,
        mut stored: BTreeMap<Key, (RoaringBitmap, u64)>,
    ) -> Vec<BitmapCorrection> {
        let keys: BTreeSet<Key> = people.keys().chain(stored.keys()).cloned().collect();
        let correction = |key: Key| {
            let People { active, waiting } = people.remove(&key).unwrap_or_default();
            let (stored, count) = stored.remove(&key).unwrap_or_default();
            let is_complete = key.1 >= self.complete_since;
            let excess =
                if is_complete { &stored - &active - &waiting } else { RoaringBitmap::new() };
            let missing = active - &waiting - &stored;
            let is_miscounted = count != stored.len();
            let is_right = missing.is_empty() && excess.is_empty() && !is_miscounted;
            (!is_right).then_some(BitmapCorrection { key, missing, excess, is_miscounted })
        };
        keys.into_iter().filter_map(correction).collect()
    }
}

/// Who was active in each hour of a day, by game. Empty: a login or a refreshed session.
async fn read_day(
    snapshot: &Work,
    day: Timestamp,
    plays: SelectStatement,
) -> Result<BTreeMap<(Timestamp, String), People>> {
    let mut people: BTreeMap<(Timestamp, String), People> = BTreeMap::new();
    let next_day = Bucket::Day.next(day);
    user_activity::for_each_in(snapshot, day, next_day, |person, is_folded| {
        let number = person.number()?;
        let people = people.entry((person.hour, person.game)).or_default();
        if is_folded {
            people.active.insert(number)
        } else {
            people.waiting.insert(number)
        };
        Ok(())
    })
    .await?;
    user_activity::for_each_player(snapshot, plays, |person| {
        let number = person.number()?;
        people.entry((person.hour, person.game)).or_default().active.insert(number);
        Ok(())
    })
    .await?;
    Ok(people)
}

/// Corrects bitmaps. Returns those that changed.
pub async fn correct_bitmaps(
    tx: &Work,
    corrections: &[BitmapCorrection],
) -> Result<Vec<BitmapDifference>> {
    tx.lock_exclusively(TransactionLock::ActivePeople).await?;
    let keys: Vec<Key> = corrections.iter().map(|correction| correction.key.clone()).collect();
    let mut stored = active_people::find_many(tx, &keys).await?;
    let (mut differences, mut changed) = (Vec::new(), Vec::new());
    for correction in corrections {
        let before = stored.remove(&correction.key).unwrap_or_default();
        let excess = find_inactive(tx, &correction.key, &before & &correction.excess).await?;
        let after = (&before - &excess) | &correction.missing;
        if after != before || correction.is_miscounted {
            let (bucket, start, game) = correction.key.clone();
            let (before, count) = (before.len(), after.len());
            differences.push(BitmapDifference { bucket, start, game, before, after: count });
            changed.push((correction.key.clone(), after));
        }
    }
    active_people::write_many(tx, changed).await?;
    Ok(differences)
}

/// Which of these people have no row of activity in a bucket.
async fn find_inactive(
    tx: &Work,
    (bucket, start, game): &Key,
    mut people: RoaringBitmap,
) -> Result<RoaringBitmap> {
    if people.is_empty() {
        return Ok(people);
    }
    user_activity::for_each_in(tx, *start, bucket.next(*start), |person, _| {
        if game.is_empty() || *game == person.game {
            people.remove(person.number()?);
        }
        Ok(())
    })
    .await?;
    Ok(people)
}
