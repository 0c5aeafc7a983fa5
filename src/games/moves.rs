//! Moves of players, one kind per game, as they are stored. Each game's file checks them against its rules.

use serde::{Deserialize, Serialize};

/// A move, stored as JSON: `{"dice": {"target": 50, "over": true}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Move {
    /// The predicted side.
    CoinFlip(CoinSide),
    /// The prediction that the roll is over or under a number.
    Dice {
        /// The number.
        target: i32,
        /// True: over the number. False: under it.
        over: bool,
    },
    /// The predicted number.
    LuckyNumber(i32),
}

/// A side of a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CoinSide {
    /// Outcome 0.
    Heads,
    /// Outcome 1.
    Tails,
}
