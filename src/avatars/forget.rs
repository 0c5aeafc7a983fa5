//! Forgetting somebody's avatar, as a part of forgetting them.

use super::discard::discard;
use super::entity::{avatars, discards};
use super::name::Picture;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::clock::Instant;
use crate::platform::database::{Database, Work};
use crate::platform::files::Files;

/// What is left to do when the transaction is committed.
#[must_use = "the files are there until they are removed"]
pub struct Forgotten(Option<Picture>);

impl Forgotten {
    /// Whether there was an avatar.
    pub fn had_one(&self) -> bool {
        self.0.is_some()
    }

    /// Removes the files. Should the process end before, another one does.
    pub async fn remove_files(self, database: Database, files: Files) {
        if let Some(picture) = self.0 {
            discard(&database, &files, &picture).await;
        }
    }
}

/// Removes somebody's row. An upload that is under way at the same time finds nobody to show it for. Tell
/// those who watch, by [`people::tell`], when it is committed.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &Work, user: UserId, now: Instant) -> Result<Forgotten> {
    // An upload that has the lock comes to its end first. Who is marked as deleted here is locked by that.
    people::lock(tx, user).await?;
    let picture = avatars::of(tx, user).await?.and_then(|row| row.picture);
    avatars::delete(tx, user).await?;
    if let Some(picture) = &picture {
        discards::insert(tx, picture.clone(), now).await?;
    }
    Ok(Forgotten(picture))
}
