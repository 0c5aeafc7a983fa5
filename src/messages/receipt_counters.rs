//! Counters of receipts that were not applied to a message.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters since this instance started.
#[derive(Debug, Default)]
pub struct ReceiptCounters {
    pub(super) forged: AtomicU64,
    pub(super) unknown: AtomicU64,
}

impl ReceiptCounters {
    /// Receipts whose signature or secret is missing or wrong.
    pub fn forged(&self) -> u64 {
        self.forged.load(Ordering::Relaxed)
    }

    /// Receipts for unknown messages.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}
