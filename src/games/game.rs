//! The `Game` trait: the rules of a game. A new game needs a file with its rules, an entry in
//! [`registry`](super::registry), and a variant of [`GameKind`] and [`Move`], here and in the schema.

use std::ops::Range;

use super::entity::rounds::GameKind;
use super::moves::Move;
use crate::error::UserError;

/// The expected points of a round, the same for every move: the fewer outcomes win, the more points each is worth.
const EXPECTED_POINTS_PER_ROUND: u32 = 10;

/// A game of chance with equally likely outcomes. A move wins if one of its winning outcomes is drawn.
pub trait Game: Sync {
    /// The game's kind.
    fn kind(&self) -> GameKind;

    /// The name for players.
    fn title(&self) -> &'static str;

    /// The rules for players.
    fn rules(&self) -> &'static str;

    /// The number of outcomes. An outcome is a number from 0.
    fn outcomes(&self) -> u32;

    /// The number that players see for an outcome.
    fn display_outcome(&self, outcome: u32) -> u32;

    /// The outcomes with which a move wins.
    ///
    /// # Errors
    /// BAD_USER_INPUT at the part of `move` that is out of range, and at `move` when it belongs to another game.
    fn winning_outcomes(&self, player_move: &Move) -> Result<Range<u32>, UserError>;

    /// The points for winning with a move that has this many winning outcomes.
    fn points(&self, winning_count: u32) -> u32 {
        EXPECTED_POINTS_PER_ROUND * self.outcomes() / winning_count
    }
}

/// The error for a move of another game.
pub fn wrong_game() -> UserError {
    UserError::bad_input("This is a move of another game.").for_field("move")
}
