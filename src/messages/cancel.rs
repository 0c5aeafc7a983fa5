//! Cancellation of a queued message.

use super::Status;
use super::entity::messages::{self, StatusChanges};
use super::entity::transitions;
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Cancels a message if it is still queued.
pub async fn cancel(platform: &Platform, tx: &Work, id: MessageId) -> Result<()> {
    let message = messages::find(tx, id).await?;
    let queued = message.filter(|message| message.status == Status::Queued);
    let Some(queued) = queued else { return Ok(()) };
    let transition =
        messages::transition(tx, &queued, Status::Cancelled, StatusChanges::default()).await?;
    if let Some(transition) = transition {
        transitions::record(tx, platform, [transition]).await?;
    }
    Ok(())
}
