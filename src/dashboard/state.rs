//! In-memory state of dashboards.

use parking_lot::Mutex;

use crate::platform::clock::Timestamp;

/// What changes whenever a figure does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Changes of statistics that were ever recorded.
    pub changes: i64,
    /// Rows of activity that are not folded.
    pub activity: u64,
    /// The hour, with which the last bucket of a range until now may change.
    pub hour: Timestamp,
}

/// What this instance knows of dashboards.
#[derive(Debug, Default)]
pub struct Dashboards {
    /// The version of the figures that was published last. None: nobody watches.
    pub(super) published: Mutex<Option<Version>>,
}
