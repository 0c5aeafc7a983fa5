//! Removing files that nobody ever showed: of uploads whose process ended before the row was written.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};

use super::discard::remove_files;
use super::entity::avatars as entity;
use super::name::{FOLDER, Picture};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::jobs::take_turn;

const NAME: &str = "avatars.sweep";
const EACH: Duration = Duration::from_hours(24);
/// No upload takes so long.
const OLD: Duration = Duration::from_hours(1);
/// How many files are looked at by one statement.
const AT_ONCE: usize = 1_000;

/// Takes the turn, when it is due.
///
/// # Errors
/// Those of the database and of the store.
pub async fn sweep(platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, NAME, EACH).await? else { return Ok(None) };
    let now = platform.now();
    let is_old = move |picture: &Picture| picture.made_at().is_some_and(|at| at + OLD <= now);
    let old = move |file: &str| Picture::parse_file(file).map(|it| it.0).filter(is_old);
    let listed = platform.files.list(FOLDER).try_filter_map(move |path| {
        let picture = path.rsplit('/').next().and_then(old);
        async { Ok(picture) }
    });
    let mut listed = pin!(listed.try_chunks(AT_ONCE));
    while let Some(pictures) = listed.next().await {
        let pictures: HashSet<Picture> = pictures.map_err(|error| error.1)?.into_iter().collect();
        let pictures: Vec<Picture> = pictures.into_iter().collect();
        let shown = entity::shown(platform.database.reads(), &pictures).await?;
        for orphan in pictures.iter().filter(|picture| !shown.contains(picture)) {
            remove_files(&platform.files, orphan).await;
        }
    }
    platform.files.delete_unfinished(FOLDER, move |file| old(file).is_some()).await?;
    let tx = platform.database.begin().await?;
    turn.end(&tx, None, now + EACH).await?;
    tx.commit().await?;
    Ok(None)
}
