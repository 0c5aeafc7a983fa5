//! Rules of coin flip: which outcomes a move of heads or tails wins.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::game::{Game, wrong_game};
use super::moves::{CoinSide, Move};
use crate::error::UserError;

/// A coin flip: outcome 0 is heads, 1 is tails.
pub struct CoinFlip;

impl Game for CoinFlip {
    fn kind(&self) -> GameKind {
        GameKind::CoinFlip
    }

    fn title(&self) -> &'static str {
        "Coin flip"
    }

    fn rules(&self) -> &'static str {
        "Say heads or tails. The side that shows wins 20 points. Outcome 0 is heads, 1 is tails."
    }

    fn outcomes(&self) -> u32 {
        2
    }

    fn display_outcome(&self, outcome: u32) -> u32 {
        outcome
    }

    fn winning_outcomes(&self, player_move: &Move) -> Result<Range<u32>, UserError> {
        match player_move {
            Move::CoinFlip(CoinSide::Heads) => Ok(0..1),
            Move::CoinFlip(CoinSide::Tails) => Ok(1..2),
            _ => Err(wrong_game()),
        }
    }
}
