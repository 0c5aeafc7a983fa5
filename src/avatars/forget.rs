//! Forgetting somebody's avatar, as a part of forgetting them.

use sea_orm::DatabaseTransaction;

use super::change::discard;
use super::entity;
use super::name::Picture;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::files::Files;

/// What is left to do when the transaction is committed.
#[must_use = "the files are there until they are removed"]
pub struct Forgotten(Option<Picture>);

impl Forgotten {
    /// Whether there was an avatar.
    pub fn had_one(&self) -> bool {
        self.0.is_some()
    }

    /// Removes the files. Should the process end before, the sweep does.
    pub async fn remove_files(self, files: Files) {
        if let Some(picture) = self.0 {
            discard(&files, &picture).await;
        }
    }
}

/// Removes somebody's row. An upload that is under way at the same time finds nobody to show it for. Tell
/// those who watch, by [`people::tell`], when it is committed.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &DatabaseTransaction, user: UserId) -> Result<Forgotten> {
    // An upload that has the lock comes to its end first. Who is marked as deleted here is locked by that.
    people::lock(tx, user).await?;
    let row = entity::of(tx, user).await?;
    entity::delete(tx, user).await?;
    Ok(Forgotten(row.and_then(|row| row.picture)))
}
