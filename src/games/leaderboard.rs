//! Reading boards: the first of them, and where somebody stands.

use super::board::Board;
use super::entity::board_places::{self, Model as Place, Ranked};
use super::tally::Boards;
use crate::error::Result;
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::memo::Memo;

/// The most places of a board that are shown at once.
pub const MOST_PLACES: u8 = 100;

/// The first places of a board.
#[derive(Debug)]
pub struct Top {
    /// The key of the board that it was then.
    pub key: String,
    /// The places, the first one first.
    pub places: Vec<Place>,
    /// Those who have them.
    pub people: Vec<Person>,
    /// The board has every round whose play was answered before this.
    pub updated_at: Instant,
    /// What was shown of it.
    pub shown: Memo,
}

/// Somebody's place on a board, with those before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Their own.
    pub own: Ranked,
    /// Up to two before it, their own, and up to two after it.
    pub around: Vec<Ranked>,
}

/// The first places of a board as it is now.
///
/// # Errors
/// Those of the database.
pub async fn top(boards: &Boards, platform: &Platform, board: Board, first: u64) -> Result<Top> {
    // Known first: the places may be newer than this, and never older.
    let updated_at = boards.complete_at(platform).await?;
    let (db, now) = (platform.database.reads(), platform.now());
    let key = board.key(now);
    let mut places = board_places::first(db, &key, first).await?;
    let users: Vec<UserId> = places.iter().map(|place| place.user_id).collect();
    let people = people::by_ids(db, &users).await?;
    // Who was deleted between the two.
    places.retain(|place| people.iter().any(|person| person.id == place.user_id));
    Ok(Top { key, places, people, updated_at, shown: Memo::default() })
}

/// Where somebody stands on a board of a key. None: they have not played what it counts.
///
/// # Errors
/// Those of the database.
pub async fn standing(platform: &Platform, key: &str, user: UserId) -> Result<Option<Standing>> {
    let around = board_places::around(platform.database.reads(), key, user).await?;
    let own = around.iter().find(|ranked| ranked.place.user_id == user).cloned();
    Ok(own.map(|own| Standing { own, around }))
}
