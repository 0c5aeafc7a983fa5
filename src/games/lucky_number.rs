//! One number of ten.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::game::{Game, another_game};
use super::moves::Move;
use crate::error::{At, Failure};

const NUMBERS: u32 = 10;

/// A number is drawn, 1 to 10: outcome 0 is the number 1.
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

    fn shown(&self, outcome: u32) -> u32 {
        outcome + 1
    }

    fn wins(&self, given: &Move) -> Result<Range<u32>, Failure> {
        let Move::LuckyNumber(number) = given else { return Err(another_game()) };
        match u32::try_from(*number) {
            Ok(number @ 1..=NUMBERS) => Ok(number - 1..number),
            _ => Err(Failure::bad_input("Must be 1 to 10.")).at("move.luckyNumber"),
        }
    }
}
