//! Rank buckets: counts of leaderboard rows per range of positions, so that a rank needs no count of all rows ahead.
//!
//! A rank is the sum of the buckets ahead, plus the row's rank within its own bucket. No bucket has more than a
//! fixed number of rows.

use sea_orm::prelude::Uuid;

use super::entity::leaderboard_buckets::{self, Buckets};
use super::entity::leaderboard_rows;
use super::entity::position::Position;
use crate::error::Result;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// Positions of a leaderboard that rows left, and positions to which they moved.
#[derive(Debug, Default)]
pub struct PositionChanges {
    /// Former positions of rows.
    pub removed: Vec<Position>,
    /// New positions of rows.
    pub added: Vec<Position>,
}

impl PositionChanges {
    fn bounds(&self) -> Option<(Position, Position)> {
        let all = || self.removed.iter().chain(&self.added).copied();
        Some((all().min()?, all().max()?))
    }
}

/// Start of the first bucket of every leaderboard: ahead of every possible row.
fn first_bucket_start() -> Position {
    Position {
        negated_points: i64::MIN,
        reached_at: Timestamp::UNIX_EPOCH,
        user: Uuid::nil().into(),
    }
}

/// Applies position changes to the buckets. The rows must already be written. Deletes buckets that were merged into
/// others, and returns those to write.
pub async fn update_buckets(
    tx: &Work,
    leaderboard_key: &str,
    changes: &PositionChanges,
    max_size: u32,
) -> Result<Vec<(String, Position, i64)>> {
    let Some(bounds) = changes.bounds() else { return Ok(Vec::new()) };
    let stored = leaderboard_buckets::find_between(tx, leaderboard_key, bounds).await?;
    let mut buckets = stored.clone();
    if buckets.is_empty() {
        buckets.insert(first_bucket_start(), 0);
    }
    apply_changes(&mut buckets, changes);
    merge_small(&mut buckets, i64::from(max_size) / 2);
    split_large(tx, leaderboard_key, &mut buckets, max_size).await?;
    for merged in stored.keys().filter(|start| !buckets.contains_key(start)) {
        leaderboard_buckets::delete(tx, leaderboard_key, *merged).await?;
    }
    buckets.retain(|start, row_count| stored.get(start) != Some(row_count));
    let rows = buckets.into_iter();
    Ok(rows.map(|(start, row_count)| (leaderboard_key.to_owned(), start, row_count)).collect())
}

fn apply_changes(buckets: &mut Buckets, changes: &PositionChanges) {
    let mut add = |position: &Position, rows: i64| {
        if let Some((_, row_count)) = buckets.range_mut(..=*position).next_back() {
            *row_count += rows;
        }
    };
    changes.removed.iter().for_each(|position| add(position, -1));
    changes.added.iter().for_each(|position| add(position, 1));
}

/// Merges neighbouring buckets that have at most this many rows together.
fn merge_small(buckets: &mut Buckets, max_merged_size: i64) {
    let mut previous: Option<Position> = None;
    for (start, row_count) in buckets.clone() {
        if let Some(first) = previous
            && let Some(sum) = buckets.get(&first).map(|first_count| first_count + row_count)
            && sum <= max_merged_size
        {
            buckets.insert(first, sum);
            buckets.remove(&start);
        } else {
            previous = Some(start);
        }
    }
}

/// Splits buckets that are too large into buckets of half the maximum size.
async fn split_large(
    tx: &Work,
    leaderboard_key: &str,
    buckets: &mut Buckets,
    max_size: u32,
) -> Result<()> {
    let max = i64::from(max_size);
    let half = max_size.div_ceil(2);
    let large: Vec<Position> = buckets
        .iter()
        .filter(|(_, row_count)| **row_count > max)
        .map(|(start, _)| *start)
        .collect();
    for mut start in large {
        while let Some(&row_count) = buckets.get(&start).filter(|row_count| **row_count > max) {
            let middle =
                leaderboard_rows::find_position_after(tx, leaderboard_key, start, half.into())
                    .await?;
            let Some(middle) = middle else { break };
            buckets.insert(start, half.into());
            buckets.insert(middle, row_count - i64::from(half));
            start = middle;
        }
    }
    Ok(())
}
