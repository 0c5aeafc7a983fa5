//! Forgetting somebody's avatar, as a part of forgetting them.

use futures_util::{FutureExt, StreamExt, stream};

use super::discard::discard;
use super::entity::{avatars, discards};
use super::name::Picture;
use crate::error::Result;
use crate::ids::UserId;
use crate::people;
use crate::platform::clock::Instant;
use crate::platform::database::{Database, Work};
use crate::platform::files::Files;

/// How many pictures are removed at once: a store that refused for long has left many.
const AT_ONCE: usize = 4;

/// What is left to do when the transaction is committed.
#[must_use = "the files are there until they are removed"]
pub struct Forgotten(Vec<Picture>);

impl Forgotten {
    /// Removes the files. Answers whether there were any and all are gone. Should the process end before, or the
    /// store refuse, another one removes them.
    pub async fn remove_files(self, database: Database, files: Files) -> bool {
        let removed = self.0.iter().map(|picture| discard(&database, &files, picture).boxed());
        let removed: Vec<_> = removed.collect();
        let are_gone: Vec<bool> = stream::iter(removed).buffer_unordered(AT_ONCE).collect().await;
        !are_gone.is_empty() && are_gone.into_iter().all(|is_gone| is_gone)
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
    // Earlier ones, which the store would not let go.
    let mut pictures = discards::owned_by(tx, user).await?;
    if let Some(picture) = picture {
        discards::insert(tx, user, picture.clone(), now).await?;
        pictures.push(picture);
    }
    Ok(Forgotten(pictures))
}
