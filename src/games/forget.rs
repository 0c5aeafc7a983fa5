//! Forgetting a player. Their rounds stay, as those of nobody in particular; the boards lose them.

use sea_orm::DatabaseTransaction;

use super::entity::rounds;
use crate::error::Result;
use crate::ids::UserId;

/// Ends somebody's open rounds and takes them from the boards.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &DatabaseTransaction, user: UserId) -> Result<()> {
    Ok(rounds::forget(tx, user).await?)
}
