//! Statistics of the queue: messages by lane and status, send rate, gateways.

use std::time::Duration;

use super::{Kind, Status};
use crate::platform::clock::Timestamp;

/// Statistics at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueStats {
    /// Messages by lane and status now.
    pub current_counts: Vec<(Kind, Status, i64)>,
    /// Messages that ever reached a status, by lane. They never decrease.
    pub total_counts: Vec<(Kind, Status, i64)>,
    /// How long the oldest queued message of each lane has waited; without empty lanes.
    pub oldest_queued_ages: Vec<(Kind, Duration)>,
    /// Messages sent per second in the last minute.
    pub sent_per_second: f64,
    /// The configured gateways; the fallback comes last.
    pub gateways: Vec<GatewayState>,
    /// Forged receipts since this instance started.
    pub forged_receipts: u64,
    /// Receipts for unknown messages since this instance started.
    pub unknown_receipts: u64,
}

/// The state of a gateway's circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayState {
    /// The gateway's name.
    pub name: &'static str,
    /// Until when nothing is sent through it.
    pub open_until: Option<Timestamp>,
    /// Since when its configuration or account is wrong.
    pub misconfigured_since: Option<Timestamp>,
    /// The last error. None if it works.
    pub last_error: Option<String>,
    /// Whether the gateway itself is at fault, not single messages.
    pub is_down: bool,
}

impl QueueStats {
    /// Messages with a status now, in all lanes.
    pub fn count(&self, status: Status) -> i64 {
        let with_status =
            self.current_counts.iter().filter(|(_, counted_status, _)| *counted_status == status);
        with_status.map(|(.., count)| count).sum()
    }
}
