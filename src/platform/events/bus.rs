//! Event bus of one process: topics, their listeners, and publishing to them and to other instances.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use super::outbox::{Outbox, RedisLink, RedisMetrics};

/// How many states are read at the same time.
const MAX_CONCURRENT_READS: usize = 4;

/// The event bus of this process. A topic exists while it has listeners.
#[derive(Clone)]
pub struct Events {
    topics: Arc<Mutex<HashMap<String, Arc<Topic>>>>,
    /// None without Redis: events stay in this instance.
    pub(super) outbox: Option<Arc<Outbox>>,
    /// Limits concurrent reads: after a gap all states are read again.
    pub(super) read_permits: Arc<Semaphore>,
    /// The announcements that were already published here.
    pub(super) seen_announcements: Arc<Mutex<HashSet<Uuid>>>,
}

impl Default for Events {
    fn default() -> Self {
        Self::new(None)
    }
}

/// A reader of a topic's state that reads again after each change.
pub(super) trait Refresh: Any + Send + Sync {
    /// Starts a read. If one is running, another follows it.
    fn refresh(self: Arc<Self>);

    /// Whether anything follows the state.
    fn is_followed(&self) -> bool;
}

#[derive(Default)]
pub(super) struct Topic {
    /// Number of changes so far.
    pub version: watch::Sender<u64>,
    /// One shared reader for each type of state and its arguments.
    pub readers: Mutex<Vec<Arc<dyn Refresh>>>,
}

impl Topic {
    fn notify(&self) {
        self.version.send_modify(|version| *version += 1);
        self.readers.lock().iter().for_each(|reader| reader.clone().refresh());
    }
}

/// Listens to a topic until it is dropped.
pub struct Listener {
    events: Events,
    name: String,
    /// None only while it is dropped.
    topic: Option<Arc<Topic>>,
    version: watch::Receiver<u64>,
}

impl Events {
    /// A bus that is connected to the other instances through Redis, if a URL is given and
    /// [`super::run_redis_bridge`] runs.
    pub fn new(redis_url: Option<SecretString>) -> Self {
        Self {
            topics: Arc::default(),
            outbox: redis_url.map(|url| Arc::new(Outbox::new(url))),
            read_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_READS)),
            seen_announcements: Arc::default(),
        }
    }

    /// Publishes a change on every instance. A transaction publishes by [`Work::publish`].
    ///
    /// [`Work::publish`]: crate::platform::database::Work::publish
    pub fn publish(&self, topic: &str) {
        self.publish_local(topic);
        self.publish_remote(topic);
    }

    /// Publishes a change on this instance only, if every instance notices the change by itself.
    pub fn publish_local(&self, topic: &str) {
        if let Some(topic) = self.topics.lock().get(topic) {
            topic.notify();
        }
    }

    /// Publishes a change on the other instances only.
    pub fn publish_remote(&self, topic: &str) {
        if let Some(outbox) = &self.outbox {
            outbox.add(topic);
        }
    }

    /// Notifies all listeners of this instance, because events may have been missed.
    pub fn publish_all_local(&self) {
        self.topics.lock().values().for_each(|topic| topic.notify());
    }

    /// Notifies all listeners of all instances: after a commit of unknown outcome, whose events may have come too early.
    pub fn publish_all(&self) {
        self.publish_all_local();
        if let Some(outbox) = &self.outbox {
            outbox.add_everything();
        }
    }

    /// Publishes a change on the other instances only, and returns how many received it. Waits while Redis is
    /// unreachable.
    pub async fn publish_counted(&self, topic: &str) -> u64 {
        match &self.outbox {
            Some(outbox) => match outbox.add_counted(topic).await {
                Ok(instances) => instances,
                Err(_) => std::future::pending().await,
            },
            None => 0,
        }
    }

    /// Notifies the listeners of the topics in a message from Redis. Messages of this instance are ignored.
    pub(super) fn receive(&self, outbox: &Outbox, instance_id: &str, message: &str) {
        let mut lines = message.split('\n');
        if lines.next() == Some(instance_id) {
            return;
        }
        let mut count = 0;
        let topics = self.topics.lock();
        for name in lines {
            count += 1;
            if let Some(topic) = topics.get(name) {
                topic.notify();
            }
        }
        drop(topics);
        outbox.metrics.received.fetch_add(count, Ordering::Relaxed);
        // Without topics, the message means that any topic may have changed.
        if count == 0 {
            outbox.metrics.gaps.fetch_add(1, Ordering::Relaxed);
            self.publish_all_local();
        }
    }

    /// The state of the connection to Redis. None without Redis.
    pub fn redis_link(&self) -> Option<watch::Receiver<RedisLink>> {
        Some(self.outbox.as_ref()?.link.subscribe())
    }

    /// Counters of the traffic over Redis. None without Redis.
    pub fn redis_metrics(&self) -> Option<&RedisMetrics> {
        Some(&self.outbox.as_ref()?.metrics)
    }

    /// Listens to a topic's changes from now on.
    pub fn listen(&self, name: String) -> Listener {
        let topic = self.topics.lock().entry(name.clone()).or_default().clone();
        let version = topic.version.subscribe();
        Listener { events: self.clone(), name, topic: Some(topic), version }
    }

    /// Whether a topic has listeners in this process.
    pub fn has_listeners(&self, topic: &str) -> bool {
        self.topics.lock().contains_key(topic)
    }

    /// The topics with listeners whose name starts with a prefix, without the prefix.
    pub fn topics_with_prefix(&self, prefix: &str) -> Vec<String> {
        let topics = self.topics.lock();
        topics.keys().filter_map(|topic| Some(topic.strip_prefix(prefix)?.to_owned())).collect()
    }

    /// The number of listeners of a topic in this process.
    pub fn listener_count(&self, topic: &str) -> usize {
        self.topics.lock().get(topic).map_or(0, |topic| topic.version.receiver_count())
    }

    /// Waits until a topic has no listeners.
    pub async fn wait_until_no_listeners(&self, topic: &str) {
        let version = self.topics.lock().get(topic).map(|topic| topic.version.clone());
        if let Some(version) = version {
            version.closed().await;
        }
    }

    /// The number of topics with listeners.
    pub fn topic_count(&self) -> usize {
        self.topics.lock().len()
    }
}

impl Listener {
    /// Waits for the next change. Returns at once if the topic changed since the last call.
    pub async fn changed(&mut self) {
        if self.version.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The number of changes while the topic had listeners.
    pub fn version(&self) -> u64 {
        *self.version.borrow()
    }

    pub(super) fn topic(&self) -> &Topic {
        self.topic.as_ref().expect("present until the listener is dropped")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut topics = self.events.topics.lock();
        // While the lock is held: otherwise two listeners dropped at once would both count the other.
        self.topic = None;
        if topics.get(&self.name).is_some_and(|topic| Arc::strong_count(topic) == 1) {
            topics.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::platform::events::outbox::Changes;

    fn outbox() -> Outbox {
        let outbox = Outbox::new("redis://127.0.0.1".to_owned().into());
        drop(outbox.take());
        outbox
    }

    fn is_notified(listener: &mut Listener) -> bool {
        listener.changed().now_or_never().is_some()
    }

    #[tokio::test]
    async fn publishing_everything_notifies_all_topics() {
        let events = Events::default();
        let (mut a, mut b) = (events.listen("a".to_owned()), events.listen("b".to_owned()));
        events.publish_all_local();
        assert!(is_notified(&mut a) && is_notified(&mut b));
        events.publish("a");
        assert!(is_notified(&mut a) && !is_notified(&mut b));
    }

    #[tokio::test]
    async fn a_topic_is_removed_with_its_last_listener() {
        let events = Events::default();
        let (first, second) = (events.listen("a".to_owned()), events.listen("a".to_owned()));
        drop(first);
        assert_eq!(events.topic_count(), 1);
        drop(second);
        assert_eq!(events.topic_count(), 0);
        events.publish("a");
    }

    #[test]
    fn messages_of_other_instances_notify_their_topics_or_all() {
        let (events, outbox) = (Events::default(), outbox());
        let (mut a, mut b) = (events.listen("a".to_owned()), events.listen("b".to_owned()));
        let mut changes = Changes::default();
        changes.add("a");
        changes.add("without listeners");
        events.receive(&outbox, "me", &changes.encode("me"));
        assert!(!is_notified(&mut a));
        events.receive(&outbox, "me", &changes.encode("you"));
        assert!(is_notified(&mut a) && !is_notified(&mut b));
        events.receive(&outbox, "me", &Changes::Everything.encode("me"));
        assert!(!is_notified(&mut a));
        events.receive(&outbox, "me", &Changes::Everything.encode("you"));
        assert!(is_notified(&mut a) && is_notified(&mut b));
        assert_eq!(outbox.metrics.received.load(Ordering::Relaxed), 2);
        assert_eq!(outbox.metrics.gaps.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn local_events_are_not_sent_to_other_instances() {
        let events = Events::new(Some("redis://127.0.0.1".to_owned().into()));
        let outbox = events.outbox.clone().expect("an outbox");
        drop(outbox.take());
        events.publish_local("a");
        assert!(outbox.take().changes.is_empty());
        events.publish("a");
        assert_eq!(outbox.take().changes.topic_count(), 1);
    }
}
