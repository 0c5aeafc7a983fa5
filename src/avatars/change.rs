//! Upload and removal of one's own avatar. New files are stored before the row that names them, and old files are
//! deleted after the row is replaced, so that a crash never leaves a row without its files.

use std::fs::File;

use futures_util::future::join_all;

use super::delete_discarded::{delete_discarded, delete_files};
use super::entity::avatars::{self as entity, Model};
use super::entity::discards;
use super::picture_name::PictureName;
use super::state::Avatars;
use super::thumbnails::{SIDES, Thumbnails};
use crate::error::{ErrorCode, Result};
use crate::ids::UserId;
use crate::people::{self, Person};
use crate::platform::Platform;

const CONTENT_TYPE: &str = "image/webp";

/// Replaces the avatar with an uploaded picture. On an error the previous one stays.
///
/// # Errors
/// RATE_LIMITED; UPLOAD_TOO_LARGE and UNSUPPORTED_MEDIA at `file`; SERVICE_UNAVAILABLE when it cannot be stored;
/// ACCOUNT_DELETED
pub async fn upload_avatar(
    avatars: &Avatars,
    platform: &Platform,
    user: UserId,
    file: File,
) -> Result<(Person, Model)> {
    avatars.upload_limiter.acquire(platform.uptime(), &user)?;
    let thumbnails = avatars.renderer.render(file).await?;
    let picture = PictureName::new(platform, &thumbnails[0]);
    if let Err(error) = store_files(platform, &picture, thumbnails).await {
        delete_files(&platform.files, &picture).await;
        return Err(error);
    }
    let result = set_picture(platform, user, Some(picture.clone())).await;
    // After any other error the commit may have succeeded: the purge of orphans deletes the files if it did not.
    if result.as_ref().is_err_and(|error| error.code() == ErrorCode::AccountDeleted) {
        delete_files(&platform.files, &picture).await;
    }
    result
}

/// Removes the avatar. Returns its owner.
///
/// # Errors
/// SERVICE_UNAVAILABLE.
pub async fn remove_avatar(platform: &Platform, user: UserId) -> Result<Person> {
    Ok(set_picture(platform, user, None).await?.0)
}

/// Sets or removes the picture. Removing when there is none changes nothing.
async fn set_picture(
    platform: &Platform,
    user: UserId,
    picture: Option<PictureName>,
) -> Result<(Person, Model)> {
    let tx = platform.begin().await?;
    let person = people::lock_own(&tx, user).await?;
    let current = entity::find(&tx, user).await?;
    let version = current.as_ref().map_or(0, |avatar| avatar.version);
    let old = current.and_then(|avatar| avatar.picture);
    let avatar = Model { user_id: user, version: version + 1, picture, updated_at: platform.now() };
    if old.is_none() && avatar.picture.is_none() {
        return Ok((person, Model { version, ..avatar }));
    }
    let avatar = entity::upsert(&tx, avatar).await?;
    if let Some(old) = &old {
        discards::insert(&tx, user, old.clone(), platform.now()).await?;
    }
    people::publish_profile_change(&tx, platform, &person);
    tx.commit().await?;
    if let Some(old) = old {
        delete_discarded(&platform.database, &platform.files, &old).await;
    }
    Ok((person, avatar))
}

async fn store_files(
    platform: &Platform,
    picture: &PictureName,
    thumbnails: Thumbnails,
) -> Result<()> {
    let writes = SIDES.into_iter().zip(thumbnails).map(async |(side, thumbnail)| {
        platform.files.put(&picture.file(side), CONTENT_TYPE, thumbnail).await
    });
    // Awaits all writes, even after an error: one that is still running would finish after the deletion of the files.
    join_all(writes).await.into_iter().collect()
}
