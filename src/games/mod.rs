//! Games: rounds whose outcome is fixed before the player moves and can be verified afterwards.
//!
//! A round is started, played once, and then never changes. Rewards go to `coins` in the same transaction.
//! A job updates the leaderboards, so that no play waits for another.

mod coin_flip;
mod demo;
mod dice;
mod entity;
mod erase;
mod expire;
mod game;
pub mod graphql;
mod leaderboard_scope;
mod leaderboard_updater;
mod lucky_number;
pub mod measures;
mod moves;
mod play;
mod provably_fair;
mod purge_leaderboards;
mod rank_buckets;
mod read_leaderboard;
mod read_rounds;
mod registry;
mod score;
mod sealed_seed;
mod start;
mod state;
mod verify;
mod watch_leaderboard;

pub use demo::{DemoLeaderboards, DemoPlay, DemoRows, insert_demo_rounds, play_demo_round};
pub use entity::leaderboard_rows::{Model as LeaderboardRow, RankedRow};
pub use entity::rounds::{
    GameKind, Model as Round, Status, find_first_started_at, find_first_uncounted_at,
    players_between,
};
pub use erase::erase;
pub use expire::expire_all_overdue;
pub use game::Game;
pub use leaderboard_scope::{LeaderboardScope, Period};
pub use leaderboard_updater::{LeaderboardUpdater, update_leaderboards};
pub use moves::{CoinSide, Move};
pub use play::{Play, play_round};
pub use purge_leaderboards::purge_expired_leaderboards;
pub use read_leaderboard::{LeaderboardTop, MAX_TOP_ROWS, RankView, read_rank, read_top};
pub use read_rounds::{find_round, list_rounds};
pub use registry::{GAMES, game_for};
pub use sealed_seed::reseal_seeds;
pub use start::start_round;
pub use state::Games;
pub use verify::{RoundVerification, verify_round};
pub use watch_leaderboard::{LeaderboardView, watch_leaderboard};
