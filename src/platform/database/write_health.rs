//! Whether the database keeps what is written: known from the last write that it refused for a reason of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use super::statement_error::FailureKind;

/// From the first write that was lost until one is kept again.
#[derive(Debug, Default)]
pub struct WriteHealth {
    is_failing: AtomicBool,
    has_unknown_outcome: AtomicBool,
}

impl WriteHealth {
    /// Takes note of a write that failed. A constraint or another process's lock says nothing of the database.
    pub fn record_failure(&self, kind: FailureKind) {
        if matches!(kind, FailureKind::Storage | FailureKind::Disconnected) {
            self.set_failing();
        }
    }

    /// Writes are not kept.
    pub fn set_failing(&self) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the database takes no writes");
        }
    }

    /// A write was committed.
    pub fn set_working(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the database takes writes again");
        }
    }

    /// Whether writes are not kept.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Nobody knows whether a transaction was committed: the connection was lost meanwhile.
    pub fn record_unknown_outcome(&self) {
        self.has_unknown_outcome.store(true, Ordering::Relaxed);
    }

    /// Whether there was a commit of unknown outcome since the last call.
    pub fn take_unknown_outcome(&self) -> bool {
        self.has_unknown_outcome.swap(false, Ordering::Relaxed)
    }
}
