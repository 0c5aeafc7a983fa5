//! A position in a leaderboard's order (points, time, user), and its columns.

use sea_orm::sea_query::Expr;

use crate::ids::UserId;
use crate::platform::clock::Timestamp;

/// A position on a leaderboard: more points first, then the earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The points, negated, so that all columns ascend.
    pub negated_points: i64,
    /// When the points were reached.
    pub reached_at: Timestamp,
    /// The user whose row has this position.
    pub user: UserId,
}

/// The columns of a position, in leaderboard_rows and in leaderboard_buckets.
pub const POSITION_COLUMNS: [&str; 3] = ["negated_points", "reached_at", "user_id"];

/// The position of a stored row, to compare with [`Position::row_value`].
pub fn position_columns() -> Expr {
    Expr::tuple(POSITION_COLUMNS.map(Expr::col))
}

impl Position {
    /// This position as a row value, which both databases can compare.
    pub fn row_value(self) -> Expr {
        Expr::tuple([self.negated_points.into(), self.reached_at.into(), self.user.into()])
    }
}
