//! Over or under a number, with a die of a hundred faces.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::game::{Game, another_game};
use super::moves::Move;
use crate::error::{At, Failure};

const FACES: u32 = 100;
/// Whoever could win by more rolls would hardly play.
const MOST_WINNING: u32 = 95;

/// A die is rolled, 1 to 100: outcome 0 is the roll 1.
pub struct Dice;

impl Game for Dice {
    fn kind(&self) -> GameKind {
        GameKind::Dice
    }

    fn title(&self) -> &'static str {
        "Dice"
    }

    fn rules(&self) -> &'static str {
        "Say a number, and whether the roll of 1 to 100 is over or under it. Over: 5 to 99. Under: 2 to 96. The fewer \
         rolls win, the more points: 1000, divided by their number."
    }

    fn outcomes(&self) -> u32 {
        FACES
    }

    fn shown(&self, outcome: u32) -> u32 {
        outcome + 1
    }

    fn wins(&self, given: &Move) -> Result<Range<u32>, Failure> {
        let Move::Dice { target, over } = given else { return Err(another_game()) };
        let target = u32::try_from(*target).unwrap_or(0);
        let wins = match over {
            true => target..FACES,
            false => 0..target.saturating_sub(1),
        };
        let allowed = if *over { "5 to 99" } else { "2 to 96" };
        match u32::try_from(wins.len()) {
            Ok(1..=MOST_WINNING) => Ok(wins),
            _ => Err(Failure::bad_input(format!("Must be {allowed}."))).at("move.dice.target"),
        }
    }
}
