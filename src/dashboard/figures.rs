//! The figures of a dashboard.

use crate::platform::clock::Timestamp;
use crate::platform::statistics::Sums;

/// A part of a dashboard that is read by statements of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The sums of the whole range.
    Sums,
    /// The number of users at the end of the range.
    Users,
    /// The series.
    Series,
    /// The number of people who were active in the range.
    ActiveUsers,
    /// The number of players of each game in the range.
    Players,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 5] =
        [Self::Sums, Self::Users, Self::Series, Self::ActiveUsers, Self::Players];
}

/// What was read. Parts that were not read are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sums of the whole range.
    pub sums: Sums,
    /// Users at the end of the range.
    pub users: i64,
    /// People who were active in the range.
    pub active_users: i64,
    /// The players of each game, in the order of the games.
    pub players: Vec<i64>,
    /// One point per bucket.
    pub series: Vec<Point>,
}

/// A point of the series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "explained by DashboardPoint in the schema")]
pub struct Point {
    pub start: Timestamp,
    pub new_users: i64,
    pub active_users: i64,
    pub rounds: i64,
    pub points: i64,
    pub coins_credited: i64,
    pub messages_sent: i64,
    pub messages_delivered: i64,
    pub messages_failed: i64,
    pub connection_calls: i64,
}
