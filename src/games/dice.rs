//! Rules of dice: which outcomes of a roll of 1 to 100 a move over or under a number wins.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::game::{Game, wrong_game};
use super::moves::Move;
use crate::error::{ForField, UserError};

const FACES: u32 = 100;
/// The most rolls with which a move may win. With more, losing would be too rare.
const MAX_WINNING_ROLLS: u32 = 95;

/// A roll of 1 to 100: outcome 0 is the roll 1.
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

    fn display_outcome(&self, outcome: u32) -> u32 {
        outcome + 1
    }

    fn winning_outcomes(&self, player_move: &Move) -> Result<Range<u32>, UserError> {
        let Move::Dice { target, over } = player_move else { return Err(wrong_game()) };
        let target = u32::try_from(*target).unwrap_or(0);
        let winning = match over {
            true => target..FACES,
            false => 0..target.saturating_sub(1),
        };
        let allowed = if *over { "5 to 99" } else { "2 to 96" };
        match u32::try_from(winning.len()) {
            Ok(1..=MAX_WINNING_ROLLS) => Ok(winning),
            _ => Err(UserError::bad_input(format!("Must be {allowed}.")))
                .for_field("move.dice.target"),
        }
    }
}
