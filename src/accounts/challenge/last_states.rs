//! Last polled states of the watched challenges: finds those that have changed since.

use std::collections::HashMap;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::messages::Status;
use crate::platform::clock::Timestamp;

/// The parts of a challenge that change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChallengeState {
    /// How many codes were sent.
    pub send_count: i32,
    /// When the code was used.
    pub consumed_at: Option<Timestamp>,
    /// The status of the SMS.
    pub delivery: Option<Status>,
}

/// The states at the previous poll.
#[derive(Default)]
pub struct LastStates(Mutex<HashMap<Uuid, ChallengeState>>);

impl LastStates {
    /// Removes all states. Called when no challenge is watched.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Stores the current states. Returns those of `ids` whose state differs from the previous one.
    pub fn replace(&self, ids: &[Uuid], current: HashMap<Uuid, ChallengeState>) -> Vec<Uuid> {
        let mut previous = self.0.lock();
        let changed =
            ids.iter().copied().filter(|id| previous.get(id) != current.get(id)).collect();
        *previous = current;
        changed
    }
}
