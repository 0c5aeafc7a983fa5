//! Whether the database keeps what is written: known from the last write that it refused for a reason of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use super::statement_error::Kind;

/// From the first write that was lost until one is kept again.
#[derive(Debug, Default)]
pub struct WriteHealth {
    is_failing: AtomicBool,
    has_doubtful_commit: AtomicBool,
}

impl WriteHealth {
    /// Takes note of a write that failed. A constraint or another process's lock says nothing of the database.
    pub fn record_failure(&self, kind: Kind) {
        if matches!(kind, Kind::Storage | Kind::Disconnected) {
            self.set_failing();
        }
    }

    /// Writes are not kept.
    pub fn set_failing(&self) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::error!("the database does not keep what is written");
        }
    }

    /// A write was committed.
    pub fn set_working(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the database keeps what is written again");
        }
    }

    /// Whether writes are not kept.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Nobody knows whether a transaction was committed: the connection was lost meanwhile.
    pub fn record_doubtful_commit(&self) {
        self.has_doubtful_commit.store(true, Ordering::Relaxed);
    }

    /// Whether there was a doubtful commit since the last call.
    pub fn take_doubtful_commit(&self) -> bool {
        self.has_doubtful_commit.swap(false, Ordering::Relaxed)
    }
}
