//! The list of all games.

use super::coin_flip::CoinFlip;
use super::dice::Dice;
use super::entity::rounds::GameKind;
use super::game::Game;
use super::lucky_number::LuckyNumber;

/// All games.
pub const GAMES: [&dyn Game; 3] = [&CoinFlip, &Dice, &LuckyNumber];

/// The game of a kind.
pub fn game_for(kind: GameKind) -> &'static dyn Game {
    let game = GAMES.into_iter().find(|game| game.kind() == kind);
    game.expect("every kind has a game")
}
