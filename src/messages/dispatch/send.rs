//! Sends due messages, many at the same time. In each tick, one transaction records finished attempts and claims new
//! messages.
//!
//! A claim is committed before the message is sent. After a crash, messages stay SENDING until their lease expires, and
//! then become UNKNOWN. So a crash never leaves a message QUEUED that may have been sent.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::circuit_breaker;
use super::claim::{ClaimedMessage, claim_due};
use super::record_outcomes::record_outcomes;
use super::send_slots::SendSlots;
use super::timing::SEND_LEASE_DURATION;
use crate::error::Result;
use crate::messages::entity::messages;
use crate::messages::gateway::{FailureReason, REQUEST_POLICY, SendOutcome};
use crate::messages::topics::message_topic;
use crate::messages::{Kind, Messages};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::POLL_INTERVAL;

/// Sends until no message is due and all attempts are recorded. Returns when to call it again, if a gateway is the
/// reason to wait.
pub async fn send_due(
    messages: &Messages,
    platform: &Arc<Platform>,
    stopping: &CancellationToken,
) -> Result<Option<Timestamp>> {
    if !messages::has_due_queued(platform.database.reads(), platform.now()).await? {
        return Ok(None);
    }
    if !messages.cooldowns_ended.swap(true, Ordering::Relaxed) {
        circuit_breaker::end_cooldowns(messages, platform).await?;
    }
    let mut slots = SendSlots::new(messages.settings.max_concurrent_sends);
    let mut in_flight = JoinSet::new();
    let mut finished: Vec<Attempt> = Vec::new();
    loop {
        let is_stopping = stopping.is_cancelled();
        let result = tick(messages, platform, &finished, (!is_stopping).then_some(&slots)).await;
        let next_at = match result {
            Ok((claimed, next_at)) => {
                finished.drain(..).for_each(|attempt| slots.release(attempt.message.kind));
                for claimed_message in claimed {
                    slots.occupy(claimed_message.message.kind);
                    in_flight.spawn(send_claimed(platform.clone(), claimed_message));
                }
                next_at
            }
            Err(error) if in_flight.is_empty() && finished.is_empty() => return Err(error),
            Err(error) => {
                error.log();
                // Drop attempts whose lease has expired: their messages are UNKNOWN now.
                finished.retain(|attempt| {
                    platform.uptime() < attempt.finished_at + SEND_LEASE_DURATION || {
                        slots.release(attempt.message.kind);
                        false
                    }
                });
                Some(platform.now() + POLL_INTERVAL)
            }
        };
        if in_flight.is_empty() && finished.is_empty() {
            return Ok(next_at);
        }
        let may_claim = !is_stopping && !slots.is_full();
        let poll_at = platform.now() + POLL_INTERVAL;
        let next_at = next_at.unwrap_or(poll_at).min(poll_at);
        tokio::select! {
            Some(attempt) = in_flight.join_next() => {
                finished.push(attempt.expect("send_claimed catches panics"));
            }
            () = messages.notifier.notified(), if may_claim => {}
            () = platform.clock.sleep_until(next_at), if may_claim || !finished.is_empty() => {}
            () = stopping.cancelled(), if !is_stopping => {}
        }
        while let Some(attempt) = in_flight.try_join_next() {
            finished.push(attempt.expect("send_claimed catches panics"));
        }
    }
}

/// Records finished attempts and, with `slots`, claims new messages, in one transaction.
async fn tick(
    messages: &Messages,
    platform: &Platform,
    finished: &[Attempt],
    slots: Option<&SendSlots>,
) -> Result<(Vec<ClaimedMessage>, Option<Timestamp>)> {
    let tx = platform.begin().await?;
    let mut slots = slots.cloned();
    for attempt in finished {
        if let Some(slots) = &mut slots {
            slots.release(attempt.message.kind);
        }
    }
    record_outcomes(messages, platform, &tx, finished).await?;
    let (claimed, next_at) = match slots {
        Some(slots) => claim_due(messages, platform, &tx, slots).await?,
        None => (Vec::new(), None),
    };
    for attempt in finished.iter().filter(|attempt| attempt.message.kind == Kind::Code) {
        tx.publish(message_topic(attempt.message.id));
    }
    tx.commit().await?;
    Ok((claimed, next_at))
}

/// Sends one message through its gateway.
async fn send_claimed(platform: Arc<Platform>, claimed: ClaimedMessage) -> Attempt {
    let ClaimedMessage { message, gateway, sms } = claimed;
    // Too close to the lease's end: another instance may claim it before the request ends.
    let latest_end = platform.now() + REQUEST_POLICY.timeout;
    let is_too_late = message.due_at.is_none_or(|lease_ends_at| lease_ends_at <= latest_end);
    let gateway_was_called = sms.is_ok() && !is_too_late;
    let outcome = match sms {
        Ok(_) if is_too_late => {
            SendOutcome::Unreachable(FailureReason::new("the sender was held up"))
        }
        Ok(sms) => {
            let sending = AssertUnwindSafe(gateway.send(&platform.outbound, &sms));
            let panicked = |_| SendOutcome::Indeterminate {
                reason: FailureReason::new("handing it over panicked"),
                is_gateway_error: false,
            };
            sending.catch_unwind().await.unwrap_or_else(panicked)
        }
        Err(reason) => SendOutcome::Refused(reason),
    };
    Attempt { message, gateway, outcome, gateway_was_called, finished_at: platform.uptime() }
}
