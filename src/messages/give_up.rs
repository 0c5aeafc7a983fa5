//! Giving up: messages that are not worth sending any more, and those that a sender left behind that crashed.

use super::bring_forward::bring_forward;
use super::counts::moved;
use super::entity::messages::CHUNK;
use super::entity::{messages, moves};
use super::{Kind, Messages, Status};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;

/// Gives up all whose time is over.
///
/// # Errors
/// Those of the database.
pub async fn give_up(room: &Messages, platform: &Platform) -> Result<Option<Instant>> {
    let askable: Vec<&str> = room
        .gateways
        .iter()
        .filter(|gateway| gateway.can_find() || gateway.is_idempotent())
        .map(|gateway| gateway.name())
        .collect();
    bring_forward(room, platform).await?;
    let way = |from, to| move |kind: Kind| (kind, Some(from), to);
    loop {
        let now = platform.now();
        if !messages::is_something_over(platform.database.reads(), now).await? {
            return Ok(None);
        }
        let tx = platform.database.begin().await?;
        let expired = messages::expire(&tx, now).await?;
        let lapsed = messages::lapse(&tx, now, &askable).await?;
        if !lapsed.is_empty() {
            tracing::warn!(messages = lapsed.len(), "a sender stopped while handing messages over");
        }
        let is_more = expired.len().max(lapsed.len()) as u64 == CHUNK;
        let expired = expired.into_iter().map(way(Status::Queued, Status::Expired));
        let lapsed = lapsed.into_iter().map(way(Status::Sending, Status::Unknown));
        moves::add(&tx, platform, expired.chain(lapsed)).await?;
        tx.commit().await?;
        moved(platform);
        if !is_more {
            return Ok(None);
        }
    }
}
