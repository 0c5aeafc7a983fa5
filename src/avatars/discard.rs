//! Removing the files of pictures that nobody shows any more. The deed that makes it so does it before it is
//! answered; what it could not do is done within minutes, after a crash too.

use std::time::Duration;

use futures_util::future::join_all;

use super::entity::discards;
use super::name::Picture;
use super::picture::SIDES;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Database;
use crate::platform::files::Files;
use crate::platform::jobs::take_turn;

const NAME: &str = "avatars.discard";
const EACH: Duration = Duration::from_mins(1);
/// So long it is left to the deed itself.
const LEFT: Duration = Duration::from_secs(30);
/// How many in one turn.
const AT_ONCE: u64 = 100;

/// Removes the files of a picture that was discarded, and forgets it when they are gone. Answers whether they are.
pub async fn discard(database: &Database, files: &Files, picture: &Picture) -> bool {
    let are_gone = remove_files(files, picture).await;
    if are_gone && let Err(error) = forget(database, picture).await {
        error.log();
    }
    are_gone
}

async fn forget(database: &Database, picture: &Picture) -> Result<()> {
    let tx = database.begin().await?;
    discards::delete(&tx, picture).await?;
    tx.commit().await
}

/// Removes the files of a picture. Answers whether they are gone.
pub async fn remove_files(files: &Files, picture: &Picture) -> bool {
    let removed = SIDES.map(async |side| files.delete(&picture.file(side)).await);
    let mut are_gone = true;
    for error in join_all(removed).await.into_iter().filter_map(Result::err) {
        tracing::warn!("a picture that nobody shows stays for now: {}", error.describe());
        are_gone = false;
    }
    are_gone
}

/// Removes what the deeds left behind, when it is this instance's turn.
///
/// # Errors
/// Those of the database.
pub async fn discard_left(platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, NAME, EACH).await? else { return Ok(None) };
    let now = platform.now();
    let db = platform.database.reads();
    let left = discards::before(db, now - LEFT, now, AT_ONCE).await?;
    for picture in &left {
        discard(&platform.database, &platform.files, picture).await;
    }
    let tx = platform.database.begin().await?;
    turn.end(&tx, None, now + EACH).await?;
    tx.commit().await?;
    Ok(None)
}
