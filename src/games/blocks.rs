//! Counting places in blocks, so that a rank is known without counting everybody before it.
//!
//! A board is cut into blocks of at most so many places. A rank is the sum of the blocks before a place's own,
//! and its place within that.

use sea_orm::prelude::Uuid;

use super::entity::board_blocks::{self, Blocks};
use super::entity::{Position, board_places};
use crate::error::Result;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// How places of a board moved: where they were, and where they are.
#[derive(Debug, Default)]
pub struct Moves {
    /// Those that are no longer there.
    pub from: Vec<Position>,
    /// Those that are new.
    pub to: Vec<Position>,
}

impl Moves {
    fn bounds(&self) -> Option<(Position, Position)> {
        let all = || self.from.iter().chain(&self.to).copied();
        Some((all().min()?, all().max()?))
    }
}

/// Where the first block of every board begins: before anybody's place.
fn beginning() -> Position {
    Position { minus_points: i64::MIN, reached_at: Instant::UNIX_EPOCH, user: Uuid::nil().into() }
}

/// Counts places of a board that moved, which must be written already. Answers the blocks that are to be written;
/// those that are no longer needed are removed.
///
/// # Errors
/// Those of the database.
pub async fn recount(
    tx: &Work,
    board: &str,
    moves: &Moves,
    most: u32,
) -> Result<Vec<(String, Position, i64)>> {
    let Some(bounds) = moves.bounds() else { return Ok(Vec::new()) };
    let known = board_blocks::between(tx, board, bounds).await?;
    let mut blocks = known.clone();
    if blocks.is_empty() {
        blocks.insert(beginning(), 0);
    }
    count(&mut blocks, moves);
    merge(&mut blocks, i64::from(most) / 2);
    split(tx, board, &mut blocks, most).await?;
    for gone in known.keys().filter(|at| !blocks.contains_key(at)) {
        board_blocks::remove(tx, board, *gone).await?;
    }
    blocks.retain(|at, places| known.get(at) != Some(places));
    Ok(blocks.into_iter().map(|(at, places)| (board.to_owned(), at, places)).collect())
}

fn count(blocks: &mut Blocks, moves: &Moves) {
    let mut add = |at: &Position, places: i64| {
        if let Some((_, block)) = blocks.range_mut(..=*at).next_back() {
            *block += places;
        }
    };
    moves.from.iter().for_each(|at| add(at, -1));
    moves.to.iter().for_each(|at| add(at, 1));
}

/// Makes one of neighbours that have few places together.
fn merge(blocks: &mut Blocks, few: i64) {
    let mut before: Option<Position> = None;
    for (at, places) in blocks.clone() {
        if let Some(first) = before
            && let Some(sum) = blocks.get(&first).map(|sum| sum + places)
            && sum <= few
        {
            blocks.insert(first, sum);
            blocks.remove(&at);
        } else {
            before = Some(at);
        }
    }
}

/// Cuts those that have too many places into halves of what a block may have.
async fn split(tx: &Work, board: &str, blocks: &mut Blocks, most: u32) -> Result<()> {
    let half = most.div_ceil(2);
    let large: Vec<Position> =
        blocks.iter().filter(|it| *it.1 > i64::from(most)).map(|it| *it.0).collect();
    for mut at in large {
        while let Some(&places) = blocks.get(&at).filter(|places| **places > i64::from(most)) {
            let middle = board_places::position_after(tx, board, at, half.into()).await?;
            let Some(middle) = middle else { break };
            blocks.insert(at, half.into());
            blocks.insert(middle, places - i64::from(half));
            at = middle;
        }
    }
    Ok(())
}
