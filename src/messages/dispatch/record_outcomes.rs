//! Records the outcomes of attempts, and decides the next status: SENT, FAILED, QUEUED again, or UNKNOWN until a
//! receipt or a query of the gateway decides.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempt::Attempt;
use super::circuit_breaker;
use super::timing::{RECEIPT_GRACE, RECONCILE_AFTER, RETRY_BACKOFF};
use crate::error::Result;
use crate::messages::apply_status::apply_status;
use crate::messages::change_status::change_status;
use crate::messages::entity::gateways;
use crate::messages::entity::messages::{self, StatusChanges};
use crate::messages::entity::transitions::{self, Transition};
use crate::messages::error_text::error_text;
use crate::messages::gateway::{FailureReason, SendOutcome, StatusUpdate, is_valid_gateway_id};
use crate::messages::{Message, Messages, Status};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::jobs::Backoff;

/// Records the outcomes in the messages' rows and in the circuit breakers.
pub async fn record_outcomes(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    attempts: &[Attempt],
) -> Result<()> {
    let mut by_gateway: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        by_gateway.entry(attempt.gateway.name()).or_default().push(attempt);
    }
    for (name, attempts) in by_gateway {
        let gateway =
            circuit_breaker::record_attempts(messages, platform, tx, name, &attempts).await?;
        record_accepted(platform, tx, &attempts).await?;
        for attempt in attempts {
            record_unaccepted(messages, platform, tx, &gateway, attempt).await?;
        }
    }
    Ok(())
}

/// Records all accepted messages in one statement.
async fn record_accepted(platform: &Platform, tx: &Work, attempts: &[&Attempt]) -> Result<()> {
    let accepted: Vec<(&Message, Option<String>)> = attempts
        .iter()
        .filter_map(|attempt| match &attempt.outcome {
            SendOutcome::Accepted { gateway_id } => {
                Some((&attempt.message, gateway_id.clone().filter(|id| is_valid_gateway_id(id))))
            }
            _ => None,
        })
        .collect();
    let now = platform.now();
    let sent_ids = messages::mark_sent(tx, &accepted, now).await?;
    let to_sent = attempts
        .iter()
        .filter(|attempt| sent_ids.contains(&attempt.message.id))
        .map(|attempt| Transition::new(&attempt.message, Some(Status::Sending), Status::Sent, now));
    transitions::record(tx, platform, to_sent).await?;
    for (message, gateway_id) in accepted {
        if !sent_ids.contains(&message.id) {
            // Its lease expired, or a receipt came first.
            let update = StatusUpdate { status: Status::Sent, reason: None, gateway_id };
            apply_status(platform, tx, message.id, &update).await?;
        }
    }
    Ok(())
}

/// Records an outcome other than accepted.
async fn record_unaccepted(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    gateway: &gateways::Model,
    attempt: &Attempt,
) -> Result<()> {
    let message = &attempt.message;
    let now = platform.now();
    let (status, changes) = match &attempt.outcome {
        SendOutcome::Accepted { .. } => return Ok(()),
        SendOutcome::Refused(reason) => (
            Status::Failed,
            StatusChanges { error: Some(error_text(reason)), ..StatusChanges::default() },
        ),
        SendOutcome::Unreachable(reason) => requeue_changes(message, reason, now),
        // Requeue behind the others, so that one failing message cannot block its lane.
        SendOutcome::Throttled { reason, .. } | SendOutcome::Misconfigured(reason) => {
            requeue_changes(message, reason, now + delay_by_age(platform, message))
        }
        SendOutcome::Indeterminate { reason, is_gateway_error } => {
            let failure = (reason, *is_gateway_error);
            decide_indeterminate(messages, platform, gateway, attempt, failure)
        }
    };
    let is_changed = change_status(platform, tx, message, status, changes).await?;
    if !is_changed && let SendOutcome::Refused(reason) = &attempt.outcome {
        let update = StatusUpdate { status, reason: Some(reason.clone()), gateway_id: None };
        apply_status(platform, tx, message.id, &update).await?;
    }
    Ok(())
}

/// The changes that queue a message again without counting the attempt, because any message would have failed.
fn requeue_changes(
    message: &Message,
    reason: &FailureReason,
    due_at: Timestamp,
) -> (Status, StatusChanges) {
    let (error, attempts) = (Some(error_text(reason)), Some(message.attempts - 1));
    (
        Status::Queued,
        StatusChanges { due_at: Some(due_at), error, attempts, ..StatusChanges::default() },
    )
}

/// The status and changes of a message that the gateway may have accepted. A receipt or a query of the gateway decides
/// later. After a gateway's error, the message counts as not accepted if neither says otherwise for a while.
fn decide_indeterminate(
    messages: &Messages,
    platform: &Platform,
    gateway: &gateways::Model,
    attempt: &Attempt,
    (reason, is_gateway_error): (&FailureReason, bool),
) -> (Status, StatusChanges) {
    let (message, now) = (&attempt.message, platform.now());
    let is_down = circuit_breaker::is_down(gateway);
    let is_safe_to_repeat = attempt.gateway.is_idempotent();
    let can_query_status = attempt.gateway.can_query_status();
    let is_last_attempt = message.attempts >= messages.settings.max_attempts && !is_down;
    if is_last_attempt && is_gateway_error && !can_query_status {
        let error = format!("tried {} times; {}", message.attempts, error_text(reason));
        return (Status::Failed, StatusChanges { error: Some(error), ..StatusChanges::default() });
    }
    let delay = RETRY_BACKOFF.delay(message.attempts.unsigned_abs(), platform);
    let delay = delay.max(delay_by_age(platform, message));
    let (status, due_at) = match () {
        () if is_safe_to_repeat && !is_last_attempt => (Status::Queued, now + delay),
        () if can_query_status => (Status::Unknown, now + RECONCILE_AFTER),
        // A retry may send a duplicate; while the gateway is down only the probe retries.
        () if is_gateway_error && is_down => (Status::Unknown, now + RETRY_BACKOFF.max),
        () if is_gateway_error => (Status::Unknown, now + delay.max(RECEIPT_GRACE)),
        () => (Status::Unknown, message.expires_at),
    };
    let attempts = is_down.then_some(message.attempts - 1);
    let (due_at, error) = (Some(due_at), Some(error_text(reason)));
    let pinned_gateway = Some(attempt.gateway.name().to_owned());
    (status, StatusChanges { due_at, error, attempts, pinned_gateway, ..StatusChanges::default() })
}

/// A delay that grows with the time for which the message has been queued.
fn delay_by_age(platform: &Platform, message: &Message) -> Duration {
    let age = (platform.now() - message.queued_at).to_std().unwrap_or_default();
    Backoff { initial: age / 2, max: RETRY_BACKOFF.max }.delay(1, platform)
}
