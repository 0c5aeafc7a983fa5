//! Changes the status of one message, and records it.

use super::Status;
use super::entity::messages::{self, Model as Message, StatusChanges};
use super::entity::transitions::{self, Transition};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Changes the status of a message. Returns false if the message has changed since it was read.
pub async fn change_status(
    platform: &Platform,
    tx: &Work,
    message: &Message,
    to: Status,
    changes: StatusChanges,
) -> Result<bool> {
    let now = platform.now();
    let is_changed = messages::transition(tx, message, to, changes, now).await?;
    if is_changed && to != message.status {
        let transition = Transition::new(message, Some(message.status), to, now);
        transitions::record(tx, platform, [transition]).await?;
    }
    Ok(is_changed)
}
