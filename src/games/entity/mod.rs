//! The tables of games.

pub mod leaderboard_buckets;
pub mod leaderboard_rows;
pub mod leaderboard_state;
pub mod position;
pub mod rounds;
