//! What a player does in a round.

use serde::{Deserialize, Serialize};

/// A move, as it is written in JSON: `{"dice": {"target": 50, "over": true}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Move {
    /// Which side shows.
    CoinFlip(CoinSide),
    /// Whether the roll is over or under a number.
    Dice {
        /// The number.
        target: i32,
        /// Over it, or under.
        over: bool,
    },
    /// Which number is drawn.
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
