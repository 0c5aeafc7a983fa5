//! Expiry of queued messages that were not sent in time, and of leases whose sender has crashed.

use super::reschedule::reschedule_after_set_back;
use crate::error::Result;
use crate::messages::entity::messages;
use crate::messages::entity::messages::BATCH_SIZE;
use crate::messages::entity::transitions::{self, Transition};
use crate::messages::{Message, Messages, Status};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// Expires queued messages and leases, batch by batch. First reschedules messages if the clock was set back.
pub async fn expire(messages: &Messages, platform: &Platform) -> Result<Option<Timestamp>> {
    let reconcilable_gateways: Vec<&str> = messages
        .gateways
        .iter()
        .filter(|gateway| gateway.can_query_status() || gateway.is_idempotent())
        .map(|gateway| gateway.name())
        .collect();
    reschedule_after_set_back(messages, platform).await?;
    loop {
        let now = platform.now();
        if !messages::has_expired(platform.database.reads(), now).await? {
            return Ok(None);
        }
        let tx = platform.begin().await?;
        let expired = messages::expire(&tx, now).await?;
        let with_expired_lease = messages::expire_leases(&tx, now, &reconcilable_gateways).await?;
        if !with_expired_lease.is_empty() {
            tracing::warn!(
                messages = with_expired_lease.len(),
                "a sender stopped while handing messages over"
            );
        }
        let may_be_more = expired.len().max(with_expired_lease.len()) as u64 == BATCH_SIZE;
        let transition =
            |from, to| move |message: &Message| Transition::new(message, Some(from), to, now);
        let expired = expired.iter().map(transition(Status::Queued, Status::Expired));
        let unknown = with_expired_lease.iter().map(transition(Status::Sending, Status::Unknown));
        transitions::record(&tx, platform, expired.chain(unknown)).await?;
        tx.commit().await?;
        if !may_be_more {
            return Ok(None);
        }
    }
}
