//! Expiry of queued messages that are too old to be sent, and of leases whose sender has crashed.

use super::clock_set_back::reschedule_late;
use crate::error::Result;
use crate::messages::entity::messages::BATCH_SIZE;
use crate::messages::entity::{messages, transitions};
use crate::messages::topics::publish_transitions;
use crate::messages::{Kind, Messages, Status};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// Expires all messages and leases whose time has passed.
pub async fn expire(messages: &Messages, platform: &Platform) -> Result<Option<Timestamp>> {
    let reconcilable_gateways: Vec<&str> = messages
        .gateways
        .iter()
        .filter(|gateway| gateway.can_query_status() || gateway.is_idempotent())
        .map(|gateway| gateway.name())
        .collect();
    reschedule_late(messages, platform).await?;
    let transition = |from, to| move |kind: Kind| (kind, Some(from), to);
    loop {
        let now = platform.now();
        if !messages::has_any_expired(platform.database.reads(), now).await? {
            return Ok(None);
        }
        let tx = platform.database.begin().await?;
        let expired = messages::expire(&tx, now).await?;
        let lease_expired = messages::expire_leases(&tx, now, &reconcilable_gateways).await?;
        if !lease_expired.is_empty() {
            tracing::warn!(
                messages = lease_expired.len(),
                "a sender stopped while handing messages over"
            );
        }
        let may_be_more = expired.len().max(lease_expired.len()) as u64 == BATCH_SIZE;
        let expired = expired.into_iter().map(transition(Status::Queued, Status::Expired));
        let unknown = lease_expired.into_iter().map(transition(Status::Sending, Status::Unknown));
        transitions::record(&tx, platform, expired.chain(unknown)).await?;
        tx.commit().await?;
        publish_transitions(platform);
        if !may_be_more {
            return Ok(None);
        }
    }
}
