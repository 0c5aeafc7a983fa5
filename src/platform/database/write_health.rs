//! Write health: whether the database stores writes, known from failed writes and from the write probe. Also records
//! that a commit had an unknown outcome.

use std::sync::atomic::{AtomicBool, Ordering};

use super::statement_error::FailureKind;

/// Whether writes fail, from the first write that the database could not store until a probe succeeds; and whether a
/// commit had an unknown outcome.
#[derive(Debug, Default)]
pub struct WriteHealth {
    is_failing: AtomicBool,
    has_unknown_outcome: AtomicBool,
}

impl WriteHealth {
    /// Records a failed write. A constraint or another process's lock says nothing about the database's health.
    pub fn record_failure(&self, kind: FailureKind) {
        if matches!(kind, FailureKind::Storage | FailureKind::Disconnected) {
            self.set_failing();
        }
    }

    /// Marks writes as failing.
    pub fn set_failing(&self) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the database takes no writes");
        }
    }

    /// Marks writes as working, after a successful probe.
    pub fn set_working(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the database takes writes again");
        }
    }

    /// Whether writes fail.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Records a commit whose outcome is unknown, because the connection was lost.
    pub fn record_unknown_outcome(&self) {
        self.has_unknown_outcome.store(true, Ordering::Relaxed);
    }

    /// Whether a commit had an unknown outcome since the last call.
    pub fn take_unknown_outcome(&self) -> bool {
        self.has_unknown_outcome.swap(false, Ordering::Relaxed)
    }
}
