//! The rules that every game implements. A new game is a file with its rules, an entry in
//! [`registry`](super::registry), and a variant of [`GameKind`] and [`Move`], here and in the schema.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::moves::Move;
use crate::error::UserError;

/// The expected points of a round, whatever the move: they are shared among its winning outcomes.
const POINTS_PER_ROUND: u32 = 10;

/// A game of chance with equally likely outcomes, some of which a move wins by.
pub trait Game: Sync {
    /// The game's kind.
    fn kind(&self) -> GameKind;

    /// The name for players.
    fn title(&self) -> &'static str;

    /// The rules for players.
    fn rules(&self) -> &'static str;

    /// The number of outcomes, which are counted from 0.
    fn outcomes(&self) -> u32;

    /// The outcome as players see it.
    fn display_outcome(&self, outcome: u32) -> u32;

    /// The outcomes that a move wins by.
    ///
    /// # Errors
    /// BAD_USER_INPUT at the part of `move` that is out of range, and at `move` when it belongs to another game.
    fn winning_outcomes(&self, player_move: &Move) -> Result<Range<u32>, UserError>;

    /// The points for winning with a move that has this many winning outcomes.
    fn points(&self, winning: u32) -> u32 {
        POINTS_PER_ROUND * self.outcomes() / winning
    }
}

/// The error for a move of another game.
pub fn wrong_game() -> UserError {
    UserError::bad_input("This is a move of another game.").for_field("move")
}
