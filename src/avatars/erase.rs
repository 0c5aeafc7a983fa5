//! Erasure of a user's avatar, as part of the account's deletion.

use futures_util::{FutureExt, StreamExt, stream};

use super::delete_discarded::delete_discarded;
use super::entity::{avatars, discards};
use super::picture_name::PictureName;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Database, Work};
use crate::platform::files::Files;

/// How many pictures are deleted at once: after a long outage of the store there may be many.
const MAX_CONCURRENT_DELETIONS: usize = 4;

/// The pictures whose files are to be deleted after the commit.
#[must_use = "the files exist until `delete_files` is called"]
pub struct ErasedPictures(Vec<PictureName>);

impl ErasedPictures {
    /// Deletes the files. Returns whether there were any and all are gone. A job deletes what is left if this fails or
    /// the process ends.
    pub async fn delete_files(self, database: Database, files: Files) -> bool {
        let deletions =
            self.0.iter().map(|picture| delete_discarded(&database, &files, picture).boxed());
        let deletions: Vec<_> = deletions.collect();
        let are_gone: Vec<bool> =
            stream::iter(deletions).buffer_unordered(MAX_CONCURRENT_DELETIONS).collect().await;
        !are_gone.is_empty() && are_gone.into_iter().all(|is_gone| is_gone)
    }
}

/// Deletes a user's avatar row. A concurrent upload fails, because the person no longer exists.
pub async fn erase(tx: &Work, user: UserId, now: Timestamp) -> Result<ErasedPictures> {
    // Waits for an upload that holds the lock.
    people::lock(tx, user).await?;
    let picture = avatars::find(tx, user).await?.and_then(|row| row.picture);
    avatars::delete(tx, user).await?;
    // Earlier pictures whose files could not be deleted yet.
    let mut pictures = discards::find_by_user(tx, user).await?;
    if let Some(picture) = picture {
        discards::insert(tx, user, picture.clone(), now).await?;
        pictures.push(picture);
    }
    Ok(ErasedPictures(pictures))
}
