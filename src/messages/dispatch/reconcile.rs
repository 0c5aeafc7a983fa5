//! Reconciliation of UNKNOWN messages, which a gateway may or may not have accepted: the gateway is queried, if it
//! supports that. A message that the gateway does not have is sent again; if the query is inconclusive, the message is
//! left to receipts and operators.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::build_sms::build_sms;
use super::timing::{RECONCILE_AFTER, SEND_LEASE_DURATION};
use crate::error::Result;
use crate::messages::apply_status::apply_status;
use crate::messages::apply_unmatched_receipts::apply_unmatched_receipts;
use crate::messages::change_status::change_status;
use crate::messages::entity::messages::{self, StatusChanges};
use crate::messages::gateway::{QueryResult, StatusUpdate};
use crate::messages::{Message, Messages, Status};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// A gateway is queried about a message for this long.
const RECONCILE_PERIOD: Duration = Duration::from_hours(24);
const BATCH_SIZE: u64 = 8;
/// Limit of one query, which may read several pages. Shorter than the lease.
const QUERY_TIMEOUT: Duration = Duration::from_secs(40);

/// Reconciles the UNKNOWN messages that are due.
pub async fn reconcile(messages: &Messages, platform: &Platform) -> Result<Option<Timestamp>> {
    apply_unmatched_receipts(platform).await?;
    if !messages::has_due_unknown(platform.database.reads(), platform.now()).await? {
        return Ok(None);
    }
    let tx = platform.begin().await?;
    let claimed =
        messages::claim_unknown(&tx, BATCH_SIZE, platform.now(), SEND_LEASE_DURATION).await?;
    tx.commit().await?;
    let may_be_more = claimed.len() as u64 == BATCH_SIZE;
    let mut queries: FuturesUnordered<_> = claimed
        .into_iter()
        .map(async |message| (query_gateway(messages, platform, &message).await, message))
        .collect();
    while let Some((result, message)) = queries.next().await {
        record_result(messages, platform, &message, result).await?;
    }
    Ok(may_be_more.then(|| platform.now()))
}

/// Queries the gateway of a message. None if it cannot be queried: then the message is UNKNOWN because of a gateway's
/// error, and no receipt has come since.
async fn query_gateway(
    messages: &Messages,
    platform: &Platform,
    message: &Message,
) -> Option<QueryResult> {
    let name = message.gateway.as_deref().unwrap_or_default();
    let Some(gateway) = messages.gateways.iter().find(|gateway| gateway.name() == name) else {
        return Some(QueryResult::Inconclusive);
    };
    if !gateway.can_query_status() {
        return None;
    }
    let Ok(sms) = build_sms(platform, message) else { return Some(QueryResult::Inconclusive) };
    let timeout = platform.clock.sleep_until(platform.now() + QUERY_TIMEOUT);
    Some(tokio::select! {
        result = gateway.query_status(&platform.outbound, &sms) => result,
        () = timeout => QueryResult::Inconclusive,
    })
}

async fn record_result(
    messages: &Messages,
    platform: &Platform,
    message: &Message,
    result: Option<QueryResult>,
) -> Result<()> {
    let now = platform.now();
    let tx = platform.begin().await?;
    let is_expired = message.expires_at <= now;
    let error = message.error.clone();
    let is_moved = match result {
        Some(QueryResult::Found(update))
            if !belongs_to_other_message(&tx, message, &update).await? =>
        {
            apply_status(platform, &tx, message.id, &update).await?;
            false
        }
        Some(QueryResult::NotFound) if is_expired => {
            change_status(platform, &tx, message, Status::Expired, StatusChanges::default()).await?
        }
        None if is_expired => {
            let changes = StatusChanges { error, ..StatusChanges::default() };
            change_status(platform, &tx, message, Status::Unknown, changes).await?;
            false
        }
        Some(QueryResult::NotFound) | None
            if message.attempts >= messages.settings.max_attempts =>
        {
            let error = error.map(|error| format!("tried {} times; {error}", message.attempts));
            let changes = StatusChanges { error, ..StatusChanges::default() };
            change_status(platform, &tx, message, Status::Failed, changes).await?
        }
        Some(QueryResult::NotFound) | None => {
            let changes = StatusChanges { due_at: Some(now), error, ..StatusChanges::default() };
            change_status(platform, &tx, message, Status::Queued, changes).await?
        }
        Some(QueryResult::Found(_) | QueryResult::Inconclusive) => {
            // Each query doubles the time since the attempt.
            let age = (now - attempted_at(message)).to_std().unwrap_or_default();
            let is_queried_again = age < RECONCILE_PERIOD && !is_expired;
            let due_at = is_queried_again.then(|| now + age.max(RECONCILE_AFTER));
            let changes = StatusChanges { due_at, error, ..StatusChanges::default() };
            change_status(platform, &tx, message, Status::Unknown, changes).await?;
            false
        }
    };
    if is_expired {
        messages::clear_sealed_body(&tx, message.id).await?;
    }
    if is_moved {
        tx.notify(&messages.notifier);
    }
    tx.commit().await
}

/// Whether the query found another message with the same text for the same number.
async fn belongs_to_other_message(
    tx: &Work,
    message: &Message,
    update: &StatusUpdate,
) -> Result<bool> {
    let (Some(gateway), Some(gateway_id)) = (&message.gateway, &update.gateway_id) else {
        return Ok(false);
    };
    let owner = messages::find_by_gateway_id(tx, gateway, gateway_id).await?;
    Ok(owner.is_some_and(|owner| owner.id != message.id))
}

fn attempted_at(message: &Message) -> Timestamp {
    message.attempted_at.unwrap_or(message.created_at)
}
