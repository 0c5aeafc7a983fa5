//! Deltas: what an event adds to the sums.

use super::bucket::Bucket;
use crate::platform::clock::Timestamp;

/// What an event adds to a sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// What is counted.
    pub measure: &'static str,
    /// Which kind of it. Empty if there is one kind.
    pub dimension: String,
    /// The hour of the event. None: it is counted over all time only.
    pub hour: Option<Timestamp>,
    /// The amount, negative if it leaves the sum.
    pub amount: i64,
}

impl Delta {
    /// A delta of the hour that contains a time.
    pub fn at(
        time: Timestamp,
        measure: &'static str,
        dimension: impl Into<String>,
        amount: i64,
    ) -> Self {
        let hour = Some(Bucket::Hour.start_of(time));
        Self { measure, dimension: dimension.into(), hour, amount }
    }

    /// A delta that is counted over all time only.
    pub fn of_all_time(measure: &'static str, dimension: impl Into<String>, amount: i64) -> Self {
        Self { measure, dimension: dimension.into(), hour: None, amount }
    }
}
