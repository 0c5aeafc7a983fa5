//! Circuit breaker per SMS gateway: stops sending while a gateway fails, and probes it with one message after a
//! cool-down that grows with each failure.

use std::time::Duration;

use super::attempt::Attempt;
use super::timing::SEND_LEASE_DURATION;
use crate::error::Result;
use crate::messages::Messages;
use crate::messages::entity::gateways;
use crate::messages::error_text::error_text;
use crate::messages::gateway::{FailureReason, SendOutcome};
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_ahead, is_waiting};
use crate::platform::database::Work;
use crate::platform::jobs::Backoff;

/// How long the circuit stays open.
const COOLDOWN: Backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_mins(1) };
/// Consecutive failures after which the gateway is at fault, not single messages.
const FAILURE_THRESHOLD: i32 = 3;

/// The state of a circuit breaker.
#[derive(Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Messages are sent.
    Closed,
    /// One message is sent, to probe the gateway.
    HalfOpen,
    /// Nothing is sent.
    Open {
        /// When the gateway is probed.
        until: Timestamp,
    },
}

/// The state of a gateway's circuit breaker now.
pub fn circuit_state(gateway: &gateways::Model, now: Timestamp) -> CircuitState {
    let Some(open_until) = gateway.open_until else { return CircuitState::Closed };
    // After the clock was set back, `open_until` may be far too late: do not wait for it.
    let cooldown_until = Some(open_until).filter(|_| !is_last_failure_ahead(gateway, now));
    let probe_until =
        gateway.probe_until.filter(|until| is_waiting(now, *until, SEND_LEASE_DURATION));
    match cooldown_until.max(probe_until) {
        Some(until) if until > now => CircuitState::Open { until },
        _ => CircuitState::HalfOpen,
    }
}

/// Whether the gateway's last failure lies in the future, because the clock was set back since.
fn is_last_failure_ahead(gateway: &gateways::Model, now: Timestamp) -> bool {
    gateway.last_failure_at.is_some_and(|failed_at| is_ahead(now, failed_at))
}

/// Whether the gateway is at fault, not single messages.
pub fn is_down(gateway: &gateways::Model) -> bool {
    gateway.consecutive_failures >= FAILURE_THRESHOLD || gateway.misconfigured_since.is_some()
}

/// Ends all cool-downs, so that the gateways are probed at once: after a start, because the cause may have been fixed
/// meanwhile, and after the clock was set back.
pub async fn end_cooldowns(messages: &Messages, platform: &Platform) -> Result<()> {
    let names: Vec<&str> = messages.gateways.iter().map(|gateway| gateway.name()).collect();
    let tx = platform.begin().await?;
    gateways::end_cooldowns(&tx, &names, platform.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Records the outcomes of attempts at one gateway. Returns the gateway's new state.
pub async fn record_attempts(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    name: &str,
    attempts: &[&Attempt],
) -> Result<gateways::Model> {
    let last_success_at = update_last_success_at(messages, attempts, platform.now());
    let before = gateways::find_or_insert(tx, name, platform.now()).await?;
    if next_state(platform, before.clone(), last_success_at, attempts) == before {
        return Ok(before);
    }
    // Another instance may have changed the row meanwhile.
    let before = gateways::lock(tx, name, platform.now()).await?;
    let after = next_state(platform, before.clone(), last_success_at, attempts);
    match (&after.last_error, after.misconfigured_since, before.misconfigured_since) {
        (Some(last_error), Some(_), None) => tracing::error!(
            gateway = name,
            trouble = last_error,
            "the SMS gateway is stopped: its configuration or account is wrong; messages wait"
        ),
        (Some(last_error), None, _) => {
            tracing::warn!(gateway = name, trouble = last_error, "the SMS gateway is in trouble");
        }
        (None, _, _) if before.last_error.is_some() => {
            tracing::info!(gateway = name, "the SMS gateway works again");
        }
        _ => {}
    }
    gateways::update_circuit(tx, after.clone()).await?;
    Ok(after)
}

/// Updates and returns when the newest attempt of this instance began that the gateway accepted or refused.
fn update_last_success_at(
    messages: &Messages,
    attempts: &[&Attempt],
    now: Timestamp,
) -> Option<Timestamp> {
    let succeeded =
        |attempt: &&&Attempt| attempt.gateway_was_called && is_success(&attempt.outcome);
    let attempted_at = |attempt: &&Attempt| attempt.message.attempted_at;
    let newest = attempts.iter().filter(succeeded).filter_map(attempted_at).max();
    let name = attempts.first()?.gateway.name();
    let mut by_gateway = messages.last_success_at.lock();
    let previous = by_gateway.get(name).copied().filter(|previous| !is_ahead(now, *previous));
    let last_success_at = previous.max(newest)?;
    by_gateway.insert(name, last_success_at);
    Some(last_success_at)
}

/// Computes the state after these attempts.
fn next_state(
    platform: &Platform,
    before: gateways::Model,
    last_success_at: Option<Timestamp>,
    attempts: &[&Attempt],
) -> gateways::Model {
    let now = platform.now();
    // The gateway processed a later message, so this failure is the message's, not the gateway's.
    let concerns_one_message = |attempt: &Attempt| {
        matches!(attempt.outcome, SendOutcome::Indeterminate { .. })
            && attempt.message.attempted_at < last_success_at
    };
    let relevant = attempts
        .iter()
        .filter(|attempt| attempt.gateway_was_called && !concerns_one_message(attempt));
    let failures = || {
        relevant
            .clone()
            .filter_map(|attempt| Some((&attempt.outcome, failure_reason(&attempt.outcome)?)))
    };
    let Some((_, last_reason)) = failures().next_back() else {
        // Only an attempt that began after the last failure proves that the gateway works again.
        let is_newer_than_failure = |attempt: &&&Attempt| {
            before.last_failure_at <= attempt.message.attempted_at
                || is_last_failure_ahead(&before, now)
        };
        let has_succeeded = relevant
            .clone()
            .filter(is_newer_than_failure)
            .any(|attempt| is_success(&attempt.outcome));
        let closed = gateways::Model {
            consecutive_failures: 0,
            last_failure_at: None,
            open_until: None,
            probe_until: None,
            misconfigured_since: None,
            last_error: None,
            ..before.clone()
        };
        return if has_succeeded { closed } else { before };
    };
    let misconfigured =
        failures().find(|(outcome, _)| matches!(outcome, SendOutcome::Misconfigured(_)));
    let concerns_all_messages = failures().any(|(outcome, _)| {
        matches!(
            outcome,
            SendOutcome::Misconfigured(_)
                | SendOutcome::Throttled { .. }
                | SendOutcome::Unreachable(_)
        )
    });
    let retry_after = failures().filter_map(|(outcome, _)| match outcome {
        SendOutcome::Throttled { retry_after, .. } => *retry_after,
        _ => None,
    });
    let retry_after = retry_after.max().unwrap_or_default();
    let new_failures = match concerns_all_messages {
        true => 1,
        false => {
            let count = i32::try_from(failures().count()).unwrap_or(FAILURE_THRESHOLD);
            count.min(FAILURE_THRESHOLD)
        }
    };
    let consecutive_failures = before.consecutive_failures.saturating_add(new_failures);
    let probe_failed = before.open_until.is_some();
    let must_open =
        concerns_all_messages || consecutive_failures >= FAILURE_THRESHOLD || probe_failed;
    let cooldown = COOLDOWN.delay(consecutive_failures.unsigned_abs(), platform);
    let until = now + cooldown.max(retry_after);
    let reason = misconfigured.map_or(last_reason, |(_, reason)| reason);
    gateways::Model {
        consecutive_failures,
        last_failure_at: Some(now),
        // Never shorten a wait that the gateway asked for earlier.
        open_until: must_open.then(|| match before.open_until {
            Some(earlier) if !is_last_failure_ahead(&before, now) => earlier.max(until),
            _ => until,
        }),
        probe_until: None,
        misconfigured_since: before.misconfigured_since.or(misconfigured.map(|_| now)),
        last_error: must_open.then(|| error_text(reason)),
        ..before
    }
}

/// Whether the gateway works. A gateway that refuses a message works.
fn is_success(outcome: &SendOutcome) -> bool {
    matches!(outcome, SendOutcome::Accepted { .. } | SendOutcome::Refused(_))
}

/// The reason of a failure that may be the gateway's fault.
fn failure_reason(outcome: &SendOutcome) -> Option<&FailureReason> {
    match outcome {
        SendOutcome::Accepted { .. } | SendOutcome::Refused(_) => None,
        SendOutcome::Throttled { reason, .. }
        | SendOutcome::Unreachable(reason)
        | SendOutcome::Misconfigured(reason)
        | SendOutcome::Indeterminate { reason, .. } => Some(reason),
    }
}
