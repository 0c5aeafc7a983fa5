//! State of the system: what it depends on, its background jobs and its instances.

use crate::platform::clock::Timestamp;

/// How a component works, or the system as a whole. The worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemState {
    /// It works.
    Ok,
    /// It works in part, late, or perhaps not.
    Degraded,
    /// It does not work.
    Down,
}

/// A part of the system, or something that it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Such as "database", "sms:twilio" or "job:send_messages".
    pub id: String,
    /// How it works.
    pub state: SystemState,
    /// Since when it has this state.
    pub since: Option<Timestamp>,
    /// What is wrong, for people. None if nothing is.
    pub detail: Option<String>,
}

/// The state of the system at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemStatus {
    /// The components, in a fixed order.
    pub components: Vec<Component>,
    /// How many instances run.
    pub instances: i64,
    /// The open sockets of all instances.
    pub sockets: i64,
    /// Whether imports give way to requests of players.
    pub is_shedding: bool,
    /// When it was read.
    pub as_of: Timestamp,
}

impl SystemStatus {
    /// The state of the whole: without its database it is down, and whatever else fails degrades it.
    pub fn state(&self) -> SystemState {
        let is_down = |component: &Component| {
            component.id == DATABASE && component.state == SystemState::Down
        };
        let worst = self.components.iter().map(|component| component.state).max();
        match worst {
            _ if self.components.iter().any(is_down) => SystemState::Down,
            Some(SystemState::Degraded | SystemState::Down) => SystemState::Degraded,
            Some(SystemState::Ok) | None => SystemState::Ok,
        }
    }

    /// Whether this is the same state as another one, whenever each was read.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let at_same_time = Self { as_of: other.as_of, ..self.clone() };
        at_same_time == *other
    }
}

/// The id of the database.
pub const DATABASE: &str = "database";

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn status(states: &[(&str, SystemState)]) -> SystemStatus {
        let component = |(id, state): &(&str, SystemState)| Component {
            id: (*id).to_owned(),
            state: *state,
            since: None,
            detail: None,
        };
        SystemStatus {
            components: states.iter().map(component).collect(),
            instances: 1,
            sockets: 0,
            is_shedding: false,
            as_of: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_the_database_takes_the_whole_system_down() {
        use SystemState::{Degraded, Down, Ok};
        for (states, expected) in [
            (vec![(DATABASE, Ok), ("redis", Ok)], Ok),
            (vec![(DATABASE, Ok), ("redis", Degraded)], Degraded),
            (vec![(DATABASE, Ok), ("redis", Down)], Degraded),
            (vec![(DATABASE, Degraded), ("redis", Ok)], Degraded),
            (vec![(DATABASE, Down), ("redis", Ok)], Down),
        ] {
            assert_eq!(status(&states).state(), expected, "{states:?}");
        }
    }

    #[test]
    fn a_later_reading_of_the_same_state_is_no_change() {
        let first = status(&[(DATABASE, SystemState::Ok)]);
        let later = SystemStatus { as_of: first.as_of + TimeDelta::seconds(1), ..first.clone() };
        assert!(later.is_same_as(&first));
        assert!(!SystemStatus { sockets: 1, ..later }.is_same_as(&first));
    }
}
