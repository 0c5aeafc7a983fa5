//! Applies status updates from gateways. They only move a message forward, so that their order and number do not matter.

use super::Status;
use super::change_status::change_status;
use super::entity::messages::{self, StatusChanges};
use super::error_text::error_text;
use super::gateway::{StatusUpdate, is_valid_gateway_id};
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Applies an update, unless the message already has a later status.
pub async fn apply_status(
    platform: &Platform,
    tx: &Work,
    id: MessageId,
    update: &StatusUpdate,
) -> Result<()> {
    let gateway_id = update.gateway_id.clone().filter(|id| is_valid_gateway_id(id));
    loop {
        let Some(message) = messages::find(tx, id).await? else { return Ok(()) };
        let is_earlier_attempt = message.gateway_id.is_some()
            && gateway_id.is_some()
            && message.gateway_id != gateway_id;
        let is_forward = update.status.predecessors().any(|status| status == message.status);
        // Ignore reports about an earlier attempt, except DELIVERED.
        if !is_forward || (is_earlier_attempt && update.status != Status::Delivered) {
            return Ok(());
        }
        let now = platform.now();
        let was_sent = update.status != Status::Failed;
        let changes = StatusChanges {
            error: update.reason.as_ref().map(error_text),
            gateway_id: gateway_id.clone(),
            sent_at: (message.sent_at.is_none() && was_sent).then_some(now),
            delivered_at: (update.status == Status::Delivered).then_some(now),
            ..StatusChanges::default()
        };
        // Try again if the message has changed since it was read.
        if change_status(platform, tx, &message, update.status, changes).await? {
            return Ok(());
        }
    }
}
