//! Games: rounds whose outcome is fixed before the player moves, and can be checked by anybody after.
//!
//! A round is started, played once, and stays as it is. What is won goes to `coins` in the same transaction;
//! the boards follow by a job, so that a play waits for nobody else's.

use std::time::Duration;

use crate::config::Config;
use crate::ids::UserId;
use crate::platform::throttle::{Limit, Throttle};

mod check;
mod coin_flip;
mod dice;
mod entity;
mod expire;
mod fair;
mod forget;
mod game;
pub mod graphql;
mod lucky_number;
mod moves;
mod play;
mod read;
mod start;

pub use check::{Check, check};
pub use entity::rounds::{GameKind, Model as Round, Status};
pub use expire::{expire_due, reseal};
pub use forget::forget;
pub use game::{GAMES, Game, of_kind};
pub use moves::{CoinSide, Move};
pub use play::{Play, play};
pub use read::{page, round};
pub use start::start;

/// How long a round can be played.
pub const LIVES: Duration = Duration::from_mins(5);
const PLAYS_WINDOW: Duration = Duration::from_mins(1);

/// What the room keeps as long as the process lives.
#[derive(Debug)]
pub struct Games {
    plays: Throttle<UserId>,
    open_rounds: i16,
}

impl Games {
    /// As it is configured.
    pub fn new(config: &Config) -> Self {
        let plays = Limit { attempts: config.limits.plays, window: PLAYS_WINDOW };
        let open_rounds = i16::try_from(config.limits.open_rounds).unwrap_or(i16::MAX);
        Self { plays: Throttle::new(plays), open_rounds }
    }
}
