//! Statistics of a background job since the start of the process, for metrics and the state of the system.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::ErrorCode;
use crate::platform::clock::Timestamp;

/// The names of all jobs, each with its statistics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct AllJobStats(Arc<OnceLock<Vec<(&'static str, JobStats)>>>);

impl AllJobStats {
    /// All jobs. Their names are taken at the first call.
    pub fn get_or_init(
        &self,
        names: impl FnOnce() -> Vec<&'static str>,
    ) -> &[(&'static str, JobStats)] {
        let with_stats = |name| (name, JobStats::default());
        self.0.get_or_init(|| names().into_iter().map(with_stats).collect())
    }

    /// All jobs. None before they are named.
    pub fn iter(&self) -> impl Iterator<Item = &(&'static str, JobStats)> {
        self.0.get().into_iter().flatten()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It did its work.
    Succeeded,
    /// It returned an error with this code.
    Failed(ErrorCode),
    /// It panicked.
    Panicked,
}

/// The failures since the last successful run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobFailures {
    /// When the first of these runs ended.
    pub since: Timestamp,
    /// How many runs failed.
    pub count: u64,
    /// The code of the last error. None: the run panicked.
    pub last_code: Option<ErrorCode>,
}

/// Counts the runs of one job.
#[derive(Debug, Default)]
pub struct JobStats {
    runs: AtomicU64,
    failures: AtomicU64,
    /// In seconds since 1970. 0: none yet.
    last_success_at: AtomicI64,
    total_micros: AtomicU64,
    current_failures: Mutex<Option<JobFailures>>,
}

impl JobStats {
    /// Records a run that has ended.
    pub fn record(&self, outcome: JobOutcome, duration: Duration, now: Timestamp) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        let last_code = match outcome {
            JobOutcome::Succeeded => {
                self.last_success_at.store(now.timestamp(), Ordering::Relaxed);
                *self.current_failures.lock() = None;
                return;
            }
            JobOutcome::Failed(code) => Some(code),
            JobOutcome::Panicked => None,
        };
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut current = self.current_failures.lock();
        let (since, count) = current.map_or((now, 1), |before| (before.since, before.count + 1));
        *current = Some(JobFailures { since, count, last_code });
    }

    /// Number of runs, failed ones included.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Number of runs that failed or panicked.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The failures since the last successful run. None: the last run succeeded, or there was none.
    pub fn current_failures(&self) -> Option<JobFailures> {
        *self.current_failures.lock()
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
