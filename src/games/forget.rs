//! Forgetting a player. Their rounds stay, as those of nobody in particular; the boards lose them.

use sea_orm::DatabaseTransaction;

use super::entity::{board_blocks, board_places, board_state, rounds};
use crate::error::Result;
use crate::ids::UserId;

/// Ends somebody's open rounds and takes them from the boards.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &DatabaseTransaction, user: UserId) -> Result<()> {
    // Before the rounds, as the tally does: what it has taken of them it brings to the boards first.
    board_state::lock(tx).await?;
    rounds::forget(tx, user).await?;
    for place in board_places::forget(tx, user).await? {
        board_blocks::count_out(tx, &place.board, place.position()).await?;
    }
    Ok(())
}
