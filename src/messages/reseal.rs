//! Sealing this room's secrets anew after `SECRET_KEYS` has a new first key.

use super::entity::messages;
use super::queue::place;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::database::BATCH_LIMIT;

/// Moves every sealed text to the first key. Answers how many were moved.
///
/// # Errors
/// When one cannot be opened: the ring lacks its key.
pub async fn reseal(platform: &Platform) -> Result<usize> {
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    let mut moved = 0;
    for (id, sealed) in messages::sealed(&tx).await? {
        if !platform.vault.is_current(&sealed) {
            let text = platform.vault.open(&place(id), &sealed)?;
            let anew = platform.vault.seal(&place(id), &text);
            moved += usize::from(messages::seal_anew(&tx, id, sealed, anew).await?);
        }
    }
    tx.commit().await?;
    Ok(moved)
}
