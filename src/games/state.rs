//! In-memory state of games: limits, and the leaderboard updater.

use std::time::Duration;

use super::leaderboard_updater::LeaderboardUpdater;
use crate::config::Config;
use crate::ids::UserId;
use crate::platform::rate_limiter::{RateLimit, RateLimiter};

const PLAY_LIMIT_WINDOW: Duration = Duration::from_mins(1);

/// The in-memory state of games, one per process.
#[derive(Debug)]
pub struct Games {
    /// Keeps the leaderboards up to date.
    pub leaderboard_updater: LeaderboardUpdater,
    pub(super) play_limiter: RateLimiter<UserId>,
    pub(super) max_open_rounds: i16,
}

impl Games {
    /// The state with the configured limits.
    pub fn new(config: &Config) -> Self {
        let play_limit =
            RateLimit { max_attempts: config.rate_limits.plays, window: PLAY_LIMIT_WINDOW };
        Self {
            leaderboard_updater: LeaderboardUpdater::default(),
            play_limiter: RateLimiter::new(play_limit),
            max_open_rounds: i16::try_from(config.rate_limits.open_rounds).unwrap_or(i16::MAX),
        }
    }
}
