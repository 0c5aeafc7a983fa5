//! What a game is. A new one is a file beside the others, its place in [`GAMES`], and a kind of game and of move, here
//! and in the schema.

use std::ops::Range;

use super::coin_flip::CoinFlip;
use super::dice::Dice;
use super::entity::rounds::GameKind;
use super::lucky_number::LuckyNumber;
use super::moves::Move;
use crate::error::Failure;

/// What a round is worth, whatever is played: ten points, shared among the winning outcomes.
const WORTH: u32 = 10;

/// A game of chance with equally likely outcomes, of which a move wins some.
pub trait Game: Sync {
    /// Which one it is.
    fn kind(&self) -> GameKind;

    /// What it is called.
    fn title(&self) -> &'static str;

    /// What there is to know before playing it.
    fn rules(&self) -> &'static str;

    /// How many outcomes there are, counted from 0.
    fn outcomes(&self) -> u32;

    /// How players call an outcome.
    fn shown(&self, outcome: u32) -> u32;

    /// The outcomes that a move wins by.
    ///
    /// # Errors
    /// BAD_USER_INPUT at the part of `move` that is out of range, and at `move` when it is another game's.
    fn wins(&self, given: &Move) -> Result<Range<u32>, Failure>;

    /// The points of a round that is won by one of so many outcomes.
    fn points(&self, winning: u32) -> u32 {
        WORTH * self.outcomes() / winning
    }
}

/// All of them.
pub const GAMES: [&dyn Game; 3] = [&CoinFlip, &Dice, &LuckyNumber];

/// The game of a kind.
pub fn of_kind(kind: GameKind) -> &'static dyn Game {
    let game = GAMES.into_iter().find(|game| game.kind() == kind);
    game.expect("every kind has its game")
}

/// A move of another game.
pub fn another_game() -> Failure {
    Failure::bad_input("This is a move of another game.").at("move")
}
