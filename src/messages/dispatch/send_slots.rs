//! Slots for messages that are being sent at the same time (SMS_PARALLEL).

use crate::messages::Kind;

/// Slots in use by lane. A quarter of the slots is reserved for other messages than bonuses, an eighth for codes, so
/// that slow bonuses never block a code.
#[derive(Clone, Debug)]
pub struct SendSlots {
    capacity: usize,
    in_use: [usize; Kind::LANES.len()],
}

impl SendSlots {
    /// All slots free.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, in_use: [0; Kind::LANES.len()] }
    }

    /// Occupies a slot for a message of this lane.
    pub fn occupy(&mut self, kind: Kind) {
        self.in_use[kind.lane_index()] += 1;
    }

    /// Releases a slot of this lane.
    pub fn release(&mut self, kind: Kind) {
        self.in_use[kind.lane_index()] -= 1;
    }

    /// Whether there is no slot left, not even for a code.
    pub fn is_full(&self) -> bool {
        self.free_for(Kind::Code) == 0
    }

    /// How many more messages of this lane may be sent.
    pub fn free_for(&self, kind: Kind) -> usize {
        let reserved = match kind {
            Kind::Code => 0,
            Kind::Notice => self.capacity / 8,
            Kind::Bonus => self.capacity / 4,
        };
        let in_use: usize = self.in_use.iter().sum();
        (self.capacity - reserved).saturating_sub(in_use)
    }
}
