//! Rules of lucky number: a move wins if its number, one of ten, is drawn.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::game::{Game, wrong_game};
use super::moves::Move;
use crate::error::{ForField, UserError};

const NUMBERS: u32 = 10;

/// A draw of 1 to 10: outcome 0 is the number 1.
pub struct LuckyNumber;

impl Game for LuckyNumber {
    fn kind(&self) -> GameKind {
        GameKind::LuckyNumber
    }

    fn title(&self) -> &'static str {
        "Lucky number"
    }

    fn rules(&self) -> &'static str {
        "Say a number from 1 to 10. The one that is drawn wins 100 points."
    }

    fn outcomes(&self) -> u32 {
        NUMBERS
    }

    fn display_outcome(&self, outcome: u32) -> u32 {
        outcome + 1
    }

    fn winning_outcomes(&self, player_move: &Move) -> Result<Range<u32>, UserError> {
        let Move::LuckyNumber(number) = player_move else { return Err(wrong_game()) };
        match u32::try_from(*number) {
            Ok(number @ 1..=NUMBERS) => Ok(number - 1..number),
            _ => Err(UserError::bad_input("Must be 1 to 10.")).for_field("move.luckyNumber"),
        }
    }
}
