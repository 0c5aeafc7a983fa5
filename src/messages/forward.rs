//! Moving a message by news of it, always forward: whatever order news come in and however often, the
//! message ends where the furthest of them says.

use super::Status;
use super::entity::messages::{self, Change};
use super::entity::moves;
use super::gateway::{News, is_id};
use super::health::text_of;
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::database::Work;

/// Moves a message, if that is forward. Answers whether there is such a message.
pub async fn forward(platform: &Platform, tx: &Work, id: MessageId, news: &News) -> Result<bool> {
    let gateway_id = news.gateway_id.clone().filter(|id| is_id(id));
    loop {
        let Some(seen) = messages::by_id(tx, id).await? else { return Ok(false) };
        // What an earlier hand-over came to says nothing of this one, unless it arrived.
        let is_of_another =
            seen.gateway_id.is_some() && gateway_id.is_some() && seen.gateway_id != gateway_id;
        let is_forward = news.status.before().any(|status| status == seen.status);
        if !is_forward || (is_of_another && news.status != Status::Delivered) {
            return Ok(true);
        }
        let now = platform.now();
        let change = Change {
            error: news.reason.as_ref().map(text_of),
            gateway_id: gateway_id.clone(),
            sent_at: (seen.sent_at.is_none() && news.status != Status::Failed).then_some(now),
            delivered_at: (news.status == Status::Delivered).then_some(now),
            ..Change::default()
        };
        if let Some(way) = messages::shift(tx, &seen, news.status, change).await? {
            moves::add(tx, platform, [way]).await?;
            return Ok(true);
        }
    }
}
