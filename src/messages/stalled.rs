//! Whether the queue stands still: messages are due, and none leaves.

use std::time::Duration;

use super::Status;
use super::entity::{messages, moves};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::MAX_SKEW;

/// Longer than a message that is due waits while others leave, unless many are due.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Whether a message has been due for ten seconds, in which none was handed over.
///
/// # Errors
/// Those of the database.
pub async fn is_stalled(platform: &Platform) -> Result<bool> {
    let (db, now) = (platform.database.reads(), platform.now());
    let since = now - STALLED_AFTER;
    Ok(messages::has_queued_due(db, since).await?
        && !moves::has_any_to(db, Status::Sending, since, now + MAX_SKEW).await?)
}
