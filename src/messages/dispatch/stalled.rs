//! Detection of a stalled queue: messages are due, but none is sent.

use std::time::Duration;

use crate::error::Result;
use crate::messages::Status;
use crate::messages::entity::{messages, transitions};
use crate::platform::Platform;
use crate::platform::clock::MAX_SKEW;

/// A due message is normally claimed sooner, unless many are due.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Whether a message has been due for this long, and no message was claimed in that time.
pub async fn is_stalled(platform: &Platform) -> Result<bool> {
    let (db, now) = (platform.database.reads(), platform.now());
    let since = now - STALLED_AFTER;
    Ok(messages::has_due_queued(db, since).await?
        && !transitions::has_transition_to(db, Status::Sending, since, now + MAX_SKEW).await?)
}
