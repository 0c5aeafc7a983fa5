//! Purge of orphaned files: files of uploads whose process ended before the avatar row was written.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};

use super::delete_discarded::delete_files;
use super::entity::avatars as entity;
use super::picture_name::{FOLDER, PictureName};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_orphaned_avatars";
const INTERVAL: Duration = Duration::from_hours(24);
/// No upload takes this long.
const MAX_UPLOAD_DURATION: Duration = Duration::from_hours(1);
/// How many files are checked per query.
const BATCH_SIZE: usize = 1_000;

/// Deletes orphaned files, when this instance gets the lease.
pub async fn purge_orphans(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| delete_orphans(platform).await)
        .await
}

/// Deletes orphaned files. Returns when to run again.
async fn delete_orphans(platform: &Platform) -> Result<Timestamp> {
    let now = platform.now();
    let is_old = move |picture: &PictureName| {
        picture.uploaded_at().is_some_and(|at| at + MAX_UPLOAD_DURATION <= now)
    };
    let old_picture = move |file: &str| {
        PictureName::parse_file_name(file).map(|(picture, _)| picture).filter(is_old)
    };
    let listed = platform.files.list(FOLDER).try_filter_map(move |file| {
        let picture = old_picture(&file);
        async { Ok(picture) }
    });
    let mut listed = pin!(listed.try_chunks(BATCH_SIZE));
    while let Some(pictures) = listed.next().await {
        let pictures: HashSet<PictureName> =
            pictures.map_err(|error| error.1)?.into_iter().collect();
        let pictures: Vec<PictureName> = pictures.into_iter().collect();
        let used = entity::find_used_pictures(platform.database.reads(), &pictures).await?;
        for orphan in pictures.iter().filter(|picture| !used.contains(picture)) {
            delete_files(&platform.files, orphan).await;
        }
    }
    Ok(now + INTERVAL)
}
