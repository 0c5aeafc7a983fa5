//! Outbox of topics for the other instances, kept until Redis acknowledges them.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::{Notify, oneshot, watch};

/// Maximum number of pending topics. Above that, "everything changed" is sent instead.
const MAX_TOPICS: usize = 10_000;

/// The changes that the other instances do not know yet, and the state of the connection that sends them.
pub(super) struct Outbox {
    pub(super) url: SecretString,
    pub(super) link: watch::Sender<RedisLink>,
    pub(super) metrics: RedisMetrics,
    pending: Mutex<Batch>,
    added: Notify,
}

/// State of the connection to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisLink {
    /// An attempt is running.
    Connecting,
    /// Events flow.
    Connected,
    /// This many attempts in a row failed. The next one follows after a delay.
    BackingOff(u32),
}

/// Counters of the traffic over Redis since this instance started.
#[derive(Debug, Default)]
pub struct RedisMetrics {
    /// Topics that were sent.
    pub published: AtomicU64,
    /// Topics that were received.
    pub received: AtomicU64,
    /// How often all states were read again, because events may have been lost.
    pub gaps: AtomicU64,
}

/// Changes for one message, and the callers that wait for the number of instances that receive it.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) changes: Changes,
    pub(super) waiters: Vec<oneshot::Sender<u64>>,
}

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// These topics, each once.
    Topics(HashSet<String>),
    /// Possibly any topic.
    Everything,
}

impl Outbox {
    pub(super) fn new(url: SecretString) -> Self {
        // A previous process may have stopped between a commit and its event.
        let pending = Batch { changes: Changes::Everything, waiters: Vec::new() };
        Self {
            url,
            link: watch::Sender::new(RedisLink::Connecting),
            metrics: RedisMetrics::default(),
            pending: Mutex::new(pending),
            added: Notify::new(),
        }
    }

    /// Adds a topic. Never waits.
    pub(super) fn add(&self, topic: &str) {
        self.pending.lock().changes.add(topic);
        self.added.notify_one();
    }

    /// Adds "everything changed".
    pub(super) fn add_everything(&self) {
        self.pending.lock().changes = Changes::Everything;
        self.added.notify_one();
    }

    /// Adds a topic. The receiver gets the number of other instances that received it.
    pub(super) fn add_counted(&self, topic: &str) -> oneshot::Receiver<u64> {
        let (sender, receiver) = oneshot::channel();
        let mut pending = self.pending.lock();
        pending.changes.add(topic);
        pending.waiters.push(sender);
        drop(pending);
        self.added.notify_one();
        receiver
    }

    /// Waits until something is pending.
    pub(super) async fn wait_until_pending(&self) {
        while self.pending.lock().changes.is_empty() {
            self.added.notified().await;
        }
    }

    /// Takes everything that is pending.
    pub(super) fn take(&self) -> Batch {
        let mut pending = self.pending.lock();
        Batch {
            changes: std::mem::take(&mut pending.changes),
            waiters: std::mem::take(&mut pending.waiters),
        }
    }

    /// Puts a batch back that Redis may not have received, so that it is sent again.
    pub(super) fn restore(&self, batch: Batch) {
        let mut pending = self.pending.lock();
        match batch.changes {
            Changes::Topics(topics) => topics.iter().for_each(|topic| pending.changes.add(topic)),
            Changes::Everything => pending.changes = Changes::Everything,
        }
        pending.waiters.extend(batch.waiters.into_iter().filter(|sender| !sender.is_closed()));
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::Topics(HashSet::new())
    }
}

impl Changes {
    pub(super) fn add(&mut self, topic: &str) {
        match self {
            Self::Topics(topics) if topics.contains(topic) => {}
            Self::Topics(topics) if topics.len() < MAX_TOPICS => {
                topics.insert(topic.to_owned());
            }
            _ => *self = Self::Everything,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Topics(topics) if topics.is_empty())
    }

    /// The number of topics. 0 for "everything".
    pub(super) fn topic_count(&self) -> u64 {
        match self {
            Self::Topics(topics) => topics.len() as u64,
            Self::Everything => 0,
        }
    }

    /// The message for Redis: the sender's id, then one line per topic. No topics means everything.
    pub(super) fn encode(&self, instance_id: &str) -> String {
        let mut message = instance_id.to_owned();
        if let Self::Topics(topics) = self {
            for topic in topics {
                message.extend(["\n", topic]);
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn outbox() -> Outbox {
        let outbox = Outbox::new("redis://127.0.0.1".to_owned().into());
        assert_eq!(outbox.take().changes, Changes::Everything, "a new instance announces a gap");
        outbox
    }

    #[test]
    fn repeated_changes_of_a_topic_are_sent_once() {
        let outbox = outbox();
        assert!(outbox.wait_until_pending().now_or_never().is_none());
        for _ in 0..3 {
            outbox.add("a");
            outbox.add("b");
        }
        assert!(outbox.wait_until_pending().now_or_never().is_some());
        let changes = outbox.take().changes;
        assert_eq!(changes.topic_count(), 2);
        assert!(outbox.wait_until_pending().now_or_never().is_none());
    }

    #[test]
    fn a_restored_batch_is_sent_with_newer_changes() {
        let outbox = outbox();
        outbox.add("a");
        let lost = outbox.take();
        outbox.add("b");
        outbox.restore(lost);
        assert_eq!(outbox.take().changes, Changes::Topics(["a", "b"].map(str::to_owned).into()));
    }

    #[test]
    fn too_many_topics_become_everything_until_sent() {
        let outbox = outbox();
        for number in 0..=MAX_TOPICS {
            outbox.add(&number.to_string());
        }
        outbox.add("a");
        assert_eq!(outbox.take().changes, Changes::Everything);
        outbox.add("a");
        assert_eq!(outbox.take().changes.topic_count(), 1);
    }
}
