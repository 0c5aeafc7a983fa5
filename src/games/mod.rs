//! Games: rounds whose outcome is fixed before the player moves and can be verified afterwards.
//!
//! A round is started, played once, and then never changes. Rewards go to `coins` in the same transaction.
//! A job updates the leaderboards, so that a play never waits for other players.

mod coin_flip;
mod dice;
mod entity;
mod erase;
mod expire;
mod game;
pub mod graphql;
mod leaderboard;
mod leaderboard_scope;
mod leaderboard_updater;
mod lucky_number;
mod moves;
mod play;
mod provably_fair;
mod purge;
mod rank_buckets;
mod read;
mod registry;
mod sealed_seed;
mod start;
mod state;
mod verify;
mod watch;

pub use entity::leaderboard_rows::{Model as LeaderboardRow, RankedRow};
pub use entity::rounds::{GameKind, Model as Round, Status};
pub use erase::{erase, publish_all_leaderboards};
pub use expire::expire_due;
pub use game::Game;
pub use leaderboard::{LeaderboardTop, MAX_ENTRIES, RankView, read_rank, read_top};
pub use leaderboard_scope::{LeaderboardScope, Period};
pub use leaderboard_updater::{LeaderboardUpdater, update_leaderboards};
pub use moves::{CoinSide, Move};
pub use play::{Play, play_round};
pub use purge::purge_expired;
pub use read::{find_round, list_rounds};
pub use registry::{GAMES, game_for};
pub use sealed_seed::reseal_seeds;
pub use start::start_round;
pub use state::Games;
pub use verify::{Verification, verify};
pub use watch::{LeaderboardView, watch_leaderboard};
