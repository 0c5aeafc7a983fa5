//! Effects of a unit of work: what runs once after its commit.

use std::collections::HashSet;

use crate::platform::events::Events;
use crate::platform::jobs::Notifier;

/// The effects that were added so far.
#[derive(Default)]
pub(super) struct Effects {
    closures: Vec<Closure>,
    events: Vec<Event>,
    notifiers: Vec<Notifier>,
}

/// A function to call.
struct Closure {
    function: Box<dyn FnOnce() + Send>,
    /// Whether it also runs if the outcome of the commit is unknown.
    runs_if_unknown: bool,
}

/// An event to publish.
#[derive(PartialEq, Eq, Hash)]
struct Event {
    topic: String,
    is_local: bool,
}

/// The number of effects at a savepoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct EffectsMark {
    closures: usize,
    events: usize,
    notifiers: usize,
}

impl Effects {
    pub fn add_closure(&mut self, function: Box<dyn FnOnce() + Send>, runs_if_unknown: bool) {
        self.closures.push(Closure { function, runs_if_unknown });
    }

    pub fn add_event(&mut self, topic: String, is_local: bool) {
        self.events.push(Event { topic, is_local });
    }

    pub fn add_notification(&mut self, notifier: Notifier) {
        self.notifiers.push(notifier);
    }

    pub fn mark(&self) -> EffectsMark {
        EffectsMark {
            closures: self.closures.len(),
            events: self.events.len(),
            notifiers: self.notifiers.len(),
        }
    }

    /// Removes the effects that were added after a mark.
    pub fn roll_back_to(&mut self, mark: EffectsMark) {
        self.closures.truncate(mark.closures);
        self.events.truncate(mark.events);
        self.notifiers.truncate(mark.notifiers);
    }

    /// Runs the effects after a commit, or after one whose outcome is unknown. Closures are first, so that a reader whom
    /// an event wakes finds no outdated cache.
    pub fn run(self, bus: &Events, is_committed: bool) {
        for closure in self.closures {
            if is_committed || closure.runs_if_unknown {
                (closure.function)();
            }
        }
        let mut published = HashSet::new();
        for event in self.events.iter().filter(|event| published.insert(*event)) {
            match event.is_local {
                true => bus.publish_local(&event.topic),
                false => bus.publish(&event.topic),
            }
        }
        for notifier in self.notifiers {
            notifier.notify();
        }
    }
}
