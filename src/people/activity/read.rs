//! Counts of distinct active people. Read within one report, so that no row is seen both folded and not, or neither.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use sea_orm::ConnectionTrait;

use super::entity::active_people;
use super::entity::user_activity;
use super::fold::{BUCKETS, bitmaps_of};
use crate::error::Result;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::{Bucket, Piece, split_range};

/// The number of active people of each bucket of a range that has any.
pub async fn read_active_series(
    report: &Work,
    bucket: Bucket,
    (from, until): (Timestamp, Timestamp),
) -> Result<BTreeMap<Timestamp, i64>> {
    let stored = active_people::find_counts(report, Piece { bucket, from, until }, "").await?;
    let mut counts: BTreeMap<Timestamp, i64> = stored.into_iter().collect();
    let unfolded = bitmaps_of(&user_activity::find_unfolded(report, from, until).await?)?;
    let changed =
        unfolded.into_iter().filter(|((of, _, game), _)| *of == bucket && game.is_empty());
    let changed: Vec<_> = changed.collect();
    let keys = changed.iter().map(|(key, _)| key);
    let stored = active_people::find_many(report, keys).await?;
    for ((_, start, game), bitmap) in changed {
        let stored = stored.get(&(bucket.as_str().to_owned(), start, game));
        let people = stored.map_or(bitmap.len(), |stored| stored.union_len(&bitmap));
        counts.insert(start, people.cast_signed());
    }
    Ok(counts)
}

/// The number of people who were active in a range of whole hours, by game; "" for any activity. Without those of
/// nobody.
pub async fn read_active_totals(
    report: &Work,
    (from, until): (Timestamp, Timestamp),
    games: &[&str],
) -> Result<BTreeMap<String, i64>> {
    let pieces = split_range(from, until, &BUCKETS);
    let mut people = active_people::find_unions(report, &pieces, games).await?;
    for row in user_activity::find_unfolded(report, from, until).await? {
        let Ok(number) = u32::try_from(row.user_number) else { continue };
        let mut add = |game: &str| {
            if games.contains(&game) {
                people.entry(game.to_owned()).or_default().insert(number);
            }
        };
        add("");
        if !row.game.is_empty() {
            add(&row.game);
        }
    }
    let count = |(game, people): (String, RoaringBitmap)| (game, people.len().cast_signed());
    Ok(people.into_iter().map(count).collect())
}

/// While so many rows wait, each batch that is folded is a change of its own.
const MAX_COUNTED: u64 = 100_000;

/// The number of rows that are not folded, up to a limit. It grows with each new activity until they are folded.
pub async fn count_activity(db: &impl ConnectionTrait) -> Result<u64> {
    user_activity::count_unfolded(db, MAX_COUNTED).await
}
