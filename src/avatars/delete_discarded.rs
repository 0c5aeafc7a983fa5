//! Deletion of the files of discarded pictures. The request that replaces a picture deletes its files before it
//! responds; a job retries deletions that failed or were interrupted.

use std::time::Duration;

use futures_util::future::join_all;

use super::entity::discards;
use super::picture_name::PictureName;
use super::thumbnails::SIDES;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Database;
use crate::platform::files::Files;
use crate::platform::jobs::run_on_one_instance;

const JOB_NAME: &str = "purge_discarded_avatars";
const INTERVAL: Duration = Duration::from_mins(1);
/// How long the job leaves the deletion to the request.
const GRACE_PERIOD: Duration = Duration::from_secs(30);
const BATCH_SIZE: u64 = 100;

/// Deletes the files of a discarded picture, then its row. Returns whether the files are gone.
pub async fn delete_discarded(database: &Database, files: &Files, picture: &PictureName) -> bool {
    let are_gone = delete_files(files, picture).await;
    if are_gone && let Err(error) = delete_row(database, picture).await {
        error.log();
    }
    are_gone
}

async fn delete_row(database: &Database, picture: &PictureName) -> Result<()> {
    let tx = database.begin().await?;
    discards::delete(&tx, picture).await?;
    tx.commit().await
}

/// Deletes the files of a picture. Returns whether they are gone.
pub async fn delete_files(files: &Files, picture: &PictureName) -> bool {
    let deletions = SIDES.map(async |side| files.delete(&picture.file(side)).await);
    let mut are_gone = true;
    for error in join_all(deletions).await.into_iter().filter_map(Result::err) {
        tracing::warn!("a picture that nobody shows stays for now: {}", error.describe());
        are_gone = false;
    }
    are_gone
}

/// Deletes the files of a batch of discarded pictures, when this instance gets the lease.
pub async fn purge_discarded(platform: &Platform) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, INTERVAL, async |_| {
        let now = platform.now();
        let db = platform.database.reads();
        let discarded =
            discards::find_discarded_before(db, now - GRACE_PERIOD, now, BATCH_SIZE).await?;
        for picture in &discarded {
            delete_discarded(&platform.database, &platform.files, picture).await;
        }
        Ok(now + INTERVAL)
    })
    .await
}
