//! Triggers: wake a job's loop before its next poll.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::platform::events::Listener;

/// Wakes a job of this instance. A notification during a run starts another run.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Notify>);

impl Notifier {
    /// Wakes the job.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits for a notification.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}

/// What wakes a job before its next poll.
pub enum Trigger<'a> {
    /// Nothing: the job only polls.
    Interval,
    /// Code of this instance.
    Notifier(&'a Notifier),
    /// An event, from any instance.
    Event(Listener),
}

impl Trigger<'_> {
    pub(super) async fn wait(&mut self) {
        match self {
            Self::Interval => std::future::pending().await,
            Self::Notifier(notifier) => notifier.notified().await,
            Self::Event(listener) => listener.changed().await,
        }
    }
}
