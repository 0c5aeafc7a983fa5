//! Monitoring of the queue: computes its statistics, and notifies watchers when they change.

use std::time::Duration;

use super::dispatch::circuit_breaker;
use super::entity::{gateways, messages, transitions};
use super::queue_stats::{GatewayState, QueueStats};
use super::topics::queue_topic;
use super::{Kind, Messages, Status};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::POLL_INTERVAL;

/// The send rate is the average over this time.
const RATE_WINDOW: Duration = Duration::from_mins(1);

/// Computes the statistics of the queue.
pub async fn load_queue_stats(messages: &Messages, platform: &Platform) -> Result<QueueStats> {
    let (db, now) = (platform.database.reads(), platform.now());
    let mut current_counts = Vec::new();
    let mut total_counts = Vec::new();
    for transition in transitions::load_totals(db).await? {
        add_count(&mut total_counts, transition.kind, transition.to_status, transition.count);
        add_count(&mut current_counts, transition.kind, transition.to_status, transition.count);
        if let Some(from) = transition.from_status {
            add_count(&mut current_counts, transition.kind, from, -transition.count);
        }
    }
    let mut oldest_queued_ages = Vec::new();
    for kind in Kind::LANES {
        if let Some(queued_at) = messages::find_oldest_queued_at(db, kind).await? {
            oldest_queued_ages.push((kind, (now - queued_at).to_std().unwrap_or_default()));
        }
    }
    let sent = transitions::count_sent_since(db, now - RATE_WINDOW).await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let sent_per_second = sent as f64 / RATE_WINDOW.as_secs_f64();
    Ok(QueueStats {
        current_counts,
        total_counts,
        oldest_queued_ages,
        sent_per_second,
        gateways: load_gateway_states(messages, platform).await?,
        forged_receipts: messages.receipt_counters.forged(),
        unknown_receipts: messages.receipt_counters.unknown(),
    })
}

/// Loads the states of the configured gateways.
pub async fn load_gateway_states(
    messages: &Messages,
    platform: &Platform,
) -> Result<Vec<GatewayState>> {
    let rows = gateways::find_all(platform.database.reads()).await?;
    let state = |name| {
        let row = rows.iter().find(|row| row.name == name).cloned();
        let is_down = row.as_ref().is_some_and(circuit_breaker::is_down);
        let (open_until, misconfigured_since, last_error) = row
            .map(|row| (row.open_until, row.misconfigured_since, row.last_error))
            .unwrap_or_default();
        GatewayState { name, open_until, misconfigured_since, last_error, is_down }
    };
    Ok(messages.gateways.iter().map(|gateway| state(gateway.name())).collect())
}

/// Notifies this instance's watchers of the queue if its statistics have changed, at most once a second. Returns when
/// to call it again, if the last notification was less than a second ago.
pub async fn publish_queue_changes(
    messages: &Messages,
    platform: &Platform,
) -> Result<Option<Timestamp>> {
    if !platform.events.has_listeners(&queue_topic()) {
        return Ok(None);
    }
    let published_at = messages.last_published.lock().as_ref().map(|(uptime, _)| *uptime);
    let wait =
        published_at.and_then(|uptime| (uptime + POLL_INTERVAL).checked_sub(platform.uptime()));
    if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
        return Ok(Some(platform.now() + wait));
    }
    let stats = load_queue_stats(messages, platform).await?;
    let mut last_published = messages.last_published.lock();
    if last_published.as_ref().is_none_or(|(_, before)| *before != stats) {
        *last_published = Some((platform.uptime(), stats));
        platform.events.publish_local(&queue_topic());
    }
    Ok(None)
}

fn add_count(counts: &mut Vec<(Kind, Status, i64)>, kind: Kind, status: Status, count: i64) {
    match counts.iter_mut().find(|entry| (entry.0, entry.1) == (kind, status)) {
        Some((.., sum)) => *sum += count,
        None => counts.push((kind, status, count)),
    }
}
