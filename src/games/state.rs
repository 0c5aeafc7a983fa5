//! What games keep in memory for the life of the process: limits, and the state of the leaderboards.

use std::time::Duration;

use super::leaderboard_updater::LeaderboardUpdater;
use crate::config::Config;
use crate::ids::UserId;
use crate::platform::rate_limiter::{RateLimit, RateLimiter};

const PLAY_LIMIT_WINDOW: Duration = Duration::from_mins(1);

/// The in-memory state of games.
#[derive(Debug)]
pub struct Games {
    /// Keeps the leaderboards up to date.
    pub leaderboards: LeaderboardUpdater,
    pub(super) play_limit: RateLimiter<UserId>,
    pub(super) max_open_rounds: i16,
}

impl Games {
    /// The state with the configured limits.
    pub fn new(config: &Config) -> Self {
        let play_limit =
            RateLimit { max_attempts: config.rate_limits.plays, window: PLAY_LIMIT_WINDOW };
        Self {
            leaderboards: LeaderboardUpdater::default(),
            play_limit: RateLimiter::new(play_limit),
            max_open_rounds: i16::try_from(config.rate_limits.open_rounds).unwrap_or(i16::MAX),
        }
    }
}
