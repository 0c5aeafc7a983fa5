//! Forgetting a player. Their rounds stay, as those of nobody in particular; the boards lose them.

use super::board::Board;
use super::entity::{board_blocks, board_places, board_state, rounds};
use super::seal::shown_at_the_end;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::events::announce;

/// Ends somebody's open rounds and takes them from the boards. Whoever watches these hears of it within a second,
/// and here at once by [`tell_all`] when it is committed.
///
/// # Errors
/// Those of the database.
pub async fn forget(platform: &Platform, tx: &Work, user: UserId) -> Result<()> {
    // Before the rounds, as the tally does: what it has taken of them it brings to the boards first.
    board_state::lock(tx).await?;
    for round in rounds::open_of(tx, user).await? {
        rounds::set_expired(tx, round.id, shown_at_the_end(platform, &round)).await?;
    }
    rounds::keep_from_boards(tx, user).await?;
    for place in board_places::forget(tx, user).await? {
        board_blocks::count_out(tx, &place.board, place.position()).await?;
    }
    announce(tx, platform, Board::all().map(Board::topic)).await
}

/// Tells whoever watches any board that it is another.
pub fn tell_all(platform: &Platform) {
    Board::all().for_each(|board| platform.events.publish(&board.topic()));
}
