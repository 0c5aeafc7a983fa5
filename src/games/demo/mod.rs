//! Games of demo data: rounds that were played in the past by the rules, in bulk, and their leaderboards.

mod leaderboards;
mod rounds;

pub use leaderboards::{DemoLeaderboards, DemoRows};
pub use rounds::{DemoPlay, insert_demo_rounds, play_demo_round};
