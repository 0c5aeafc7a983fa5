//! Games: rounds whose outcome is fixed before the player moves, and can be checked by anybody after.
//!
//! A round is started, played once, and stays as it is. What is won goes to `coins` in the same transaction;
//! the boards follow by a job, so that a play waits for nobody else's.

use std::time::Duration;

use crate::config::Config;
use crate::ids::UserId;
use crate::platform::throttle::{Limit, Throttle};

mod blocks;
mod board;
mod check;
mod coin_flip;
mod dice;
mod entity;
mod expire;
mod fair;
mod forget;
mod game;
pub mod graphql;
mod leaderboard;
mod lucky_number;
mod moves;
mod play;
mod read;
mod seal;
mod start;
mod sweep;
mod tally;
mod watch;

pub use board::{Board, Period};
pub use check::{Check, check};
pub use entity::board_places::{Model as Place, Ranked};
pub use entity::rounds::{GameKind, Model as Round, Status};
pub use expire::expire_due;
pub use forget::{forget, tell_all};
pub use game::{GAMES, Game, of_kind};
pub use leaderboard::{MOST_PLACES, Standing, Top, standing, top};
pub use moves::{CoinSide, Move};
pub use play::{Play, play};
pub use read::{page, round};
pub use seal::reseal;
pub use start::start;
pub use sweep::sweep;
pub use tally::{Boards, tally};
pub use watch::{View, watch};

/// How long a round can be played.
pub const LIVES: Duration = Duration::from_mins(5);
const PLAYS_WINDOW: Duration = Duration::from_mins(1);

/// What the room keeps as long as the process lives.
#[derive(Debug)]
pub struct Games {
    /// The boards.
    pub boards: Boards,
    plays: Throttle<UserId>,
    open_rounds: i16,
}

impl Games {
    /// As it is configured.
    pub fn new(config: &Config) -> Self {
        let plays = Limit { attempts: config.limits.plays, window: PLAYS_WINDOW };
        let open_rounds = i16::try_from(config.limits.open_rounds).unwrap_or(i16::MAX);
        Self { boards: Boards::default(), plays: Throttle::new(plays), open_rounds }
    }
}
