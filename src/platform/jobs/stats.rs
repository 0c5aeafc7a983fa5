//! Statistics of a background job since the start of the process, for metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::platform::clock::Timestamp;

/// Counts the runs of one job.
#[derive(Debug, Default)]
pub struct JobStats {
    runs: AtomicU64,
    failures: AtomicU64,
    /// In seconds since 1970. 0: none yet.
    last_success_at: AtomicI64,
    total_micros: AtomicU64,
}

impl JobStats {
    /// Records a run that has ended.
    pub fn record(&self, is_success: bool, duration: Duration, now: Timestamp) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        match is_success {
            true => self.last_success_at.store(now.timestamp(), Ordering::Relaxed),
            false => _ = self.failures.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Number of runs, failed ones included.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Number of runs that failed or panicked.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// When the last successful run ended, in seconds since 1970. 0: there was none.
    pub fn last_success_at(&self) -> i64 {
        self.last_success_at.load(Ordering::Relaxed)
    }

    /// The time that all runs took together.
    pub fn total_duration(&self) -> Duration {
        Duration::from_micros(self.total_micros.load(Ordering::Relaxed))
    }
}
