//! The tables of games.

pub mod board_blocks;
pub mod board_places;
pub mod board_state;
pub mod rounds;

use sea_orm::sea_query::Expr;

use crate::ids::UserId;
use crate::platform::clock::Instant;

/// Where somebody stands on a board: who has more points is first, then who reached them earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The points, negated: the least comes first.
    pub minus_points: i64,
    /// When they were reached.
    pub reached_at: Instant,
    /// Whose place it is.
    pub user: UserId,
}

/// The columns that hold it, in places as in blocks.
const POSITION: [&str; 3] = ["minus_points", "reached_at", "user_id"];

/// The position of a row.
fn position() -> Expr {
    Expr::tuple(POSITION.map(Expr::col))
}

impl Position {
    /// As the row value that both databases compare with a place's or a block's.
    fn row(self) -> Expr {
        Expr::tuple([self.minus_points.into(), self.reached_at.into(), self.user.into()])
    }
}
