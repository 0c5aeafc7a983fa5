//! Durations that several steps of the dispatch share.

use std::time::Duration;

use crate::platform::jobs::Backoff;

/// How long a claimed message belongs to the instance that claimed it. Longer than any request to a gateway.
pub const SEND_LEASE_DURATION: Duration = Duration::from_mins(1);

/// Delay before the next attempt.
pub const RETRY_BACKOFF: Backoff =
    Backoff { initial: Duration::from_secs(2), max: Duration::from_mins(10) };

/// How long to wait for a receipt after a gateway's error: the gateway may have accepted the message nevertheless.
pub const RECEIPT_GRACE: Duration = Duration::from_secs(5);

/// How long after an attempt its gateway is first queried: it may still be processing the message.
pub const RECONCILE_AFTER: Duration = Duration::from_mins(1);
