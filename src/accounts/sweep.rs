//! Dropping rows that nobody needs any more: endings that every instance has heard of, sessions that have
//! long been over, codes that were never answered.

use std::time::Duration;

use super::entity::{challenges, endings, sessions};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::BATCH_LIMIT;
use crate::platform::jobs::take_turn;

const NAME: &str = "accounts.sweep";
const EACH: Duration = Duration::from_mins(10);

/// Takes the turn, when it is due.
///
/// # Errors
/// Those of the database.
pub async fn sweep(platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, NAME, EACH).await? else { return Ok(None) };
    let now = platform.now();
    // One after the other: a deed may have its rows in any order.
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    endings::sweep(&tx, now).await?;
    tx.commit().await?;
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    sessions::sweep(&tx, now).await?;
    tx.commit().await?;
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    challenges::sweep(&tx, now).await?;
    turn.end(&tx, None, now + EACH).await?;
    tx.commit().await?;
    Ok(None)
}
