//! Uploading and removing one's own avatar. The new files are there before the row that shows them, and the
//! old ones go after it: whenever a process ends, what is shown is there.

use std::fs::File;

use futures_util::future::join_all;

use super::Avatars;
use super::discard::{discard, remove_files};
use super::entity::avatars::{self as entity, Model};
use super::entity::discards;
use super::name::Picture;
use super::picture::{SIDES, Squares};
use crate::error::{ErrorCode, Result};
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::Platform;

const KIND: &str = "image/webp";

/// Shows a picture from now on.
///
/// # Errors
/// RATE_LIMITED; UPLOAD_TOO_LARGE and UNSUPPORTED_MEDIA at `file`; SERVICE_UNAVAILABLE when it cannot be kept;
/// ACCOUNT_DELETED. Then the one before stays.
pub async fn upload(
    avatars: &Avatars,
    platform: &Platform,
    user: UserId,
    file: File,
) -> Result<(Person, Model)> {
    avatars.uploads.attempt(platform.uptime(), &user)?;
    let squares = avatars.pictures.squares(file).await?;
    let picture = Picture::new(platform, &squares[0]);
    if let Err(error) = keep(platform, &picture, squares).await {
        remove_files(&platform.files, &picture).await;
        return Err(error);
    }
    let shown = show(platform, user, Some(picture.clone())).await;
    // Should anything else fail, nobody knows for sure that it did: the files are the sweep's.
    if shown.as_ref().is_err_and(|error| error.code() == ErrorCode::AccountDeleted) {
        remove_files(&platform.files, &picture).await;
    }
    shown
}

/// Shows none from now on. Answers with whose it was.
///
/// # Errors
/// SERVICE_UNAVAILABLE.
pub async fn remove(platform: &Platform, user: UserId) -> Result<Person> {
    Ok(show(platform, user, None).await?.0)
}

/// Shows another picture, or none. None in place of none is no change.
async fn show(
    platform: &Platform,
    user: UserId,
    picture: Option<Picture>,
) -> Result<(Person, Model)> {
    let tx = platform.database.begin().await?;
    let person = people::lock_own(&tx, user).await?;
    let before = entity::of(&tx, user).await?;
    let version = before.as_ref().map_or(0, |row| row.version);
    let old = before.and_then(|row| row.picture);
    let row = Model { user_id: user, version: version + 1, picture, updated_at: platform.now() };
    if old.is_none() && row.picture.is_none() {
        return Ok((person, Model { version, ..row }));
    }
    let row = entity::put(&tx, row).await?;
    if let Some(old) = &old {
        discards::insert(&tx, user, old.clone(), platform.now()).await?;
    }
    tx.commit().await?;
    people::tell(platform, &person);
    if let Some(old) = old {
        discard(&platform.database, &platform.files, &old).await;
    }
    Ok((person, row))
}

async fn keep(platform: &Platform, picture: &Picture, squares: Squares) -> Result<()> {
    let kept = SIDES
        .into_iter()
        .zip(squares)
        .map(async |(side, square)| platform.files.put(&picture.file(side), KIND, square).await);
    // To the end of each: one that is left while it is written comes after what removes it.
    join_all(kept).await.into_iter().collect()
}
