//! Cancellation of a queued message.

use super::Status;
use super::change_status::change_status;
use super::entity::messages::{self, StatusChanges};
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Cancels a message if it is still queued.
pub async fn cancel(platform: &Platform, tx: &Work, id: MessageId) -> Result<()> {
    let message = messages::find(tx, id).await?;
    let queued = message.filter(|message| message.status == Status::Queued);
    let Some(queued) = queued else { return Ok(()) };
    change_status(platform, tx, &queued, Status::Cancelled, StatusChanges::default()).await?;
    Ok(())
}
