//! The event bus: a topic says that something changed, never what it is now.
//!
//! A listener reads the state again. It is told once of any number of changes, so a slow one misses states
//! in between and never the last. Those who follow a state share one reading, and wake when it is there.
//!
//! What is published is heard by every instance, where Redis carries it; without Redis by this one alone. What a
//! command does, and what is rare, is announced by the database.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use follow::Reads;
use others::Others;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

mod announce;
mod carry;
mod follow;
mod installation;
mod others;

pub use announce::{announce, hear};
pub use carry::{carry, try_redis};
pub use follow::Follower;
pub use others::{Figures, Link};

/// How many states are read at once.
const READINGS: usize = 4;

/// The topics that somebody listens to, in this process.
#[derive(Clone)]
pub struct Events {
    topics: Arc<Mutex<HashMap<String, Arc<Topic>>>>,
    /// None: there is no Redis, and this instance is alone.
    others: Option<Arc<Others>>,
    /// So many states are read at once: after a gap it is all of them.
    readings: Arc<Semaphore>,
    /// The announcements that were heard.
    announced: Arc<Mutex<HashSet<Uuid>>>,
}

impl Default for Events {
    fn default() -> Self {
        Self::new(None)
    }
}

#[derive(Default)]
struct Topic {
    /// How many changes were told.
    version: watch::Sender<u64>,
    /// What reads its state for those who follow it: one for each kind of state.
    readers: Mutex<Vec<Arc<dyn Reads>>>,
}

impl Topic {
    fn tell(&self) {
        self.version.send_modify(|version| *version += 1);
        self.readers.lock().iter().for_each(|reader| reader.clone().read_again());
    }
}

/// Listens to a topic as long as it lives.
pub struct Listener {
    events: Events,
    name: String,
    /// There until it is dropped.
    topic: Option<Arc<Topic>>,
    seen: watch::Receiver<u64>,
}

impl Events {
    /// With the other instances at the other side of a Redis, if there is one: [`carry`] goes there and back.
    pub fn new(redis_url: Option<SecretString>) -> Self {
        let others = redis_url.map(|url| Arc::new(Others::new(url)));
        let readings = Arc::new(Semaphore::new(READINGS));
        Self { topics: Arc::default(), others, readings, announced: Arc::default() }
    }

    /// Tells that something changed, on every instance. Call it when the change is committed.
    pub fn publish(&self, topic: &str) {
        self.publish_here(topic);
        self.publish_there(topic);
    }

    /// Tells this instance alone, of what every instance finds out for itself.
    pub fn publish_here(&self, topic: &str) {
        if let Some(topic) = self.topics.lock().get(topic) {
            topic.tell();
        }
    }

    /// Tells the other instances alone.
    pub fn publish_there(&self, topic: &str) {
        if let Some(others) = &self.others {
            others.add(topic);
        }
    }

    /// Tells every listener of this instance that something may have changed: some events were not heard of.
    pub fn publish_all(&self) {
        self.topics.lock().values().for_each(|topic| topic.tell());
    }

    /// Tells every listener of every instance that something may have changed: a commit whose outcome is unknown
    /// published nothing of its own.
    pub fn publish_everything(&self) {
        self.publish_all();
        if let Some(others) = &self.others {
            others.add_everything();
        }
    }

    /// How the connection to Redis does. None: there is none to be.
    pub fn link(&self) -> Option<watch::Receiver<Link>> {
        Some(self.others.as_ref()?.link.subscribe())
    }

    /// Tells the other instances, and answers how many heard it. While Redis is out of reach, it waits.
    pub async fn heard_by(&self, topic: &str) -> u64 {
        match &self.others {
            Some(others) => match others.ask(topic).await {
                Ok(heard) => heard,
                Err(_) => std::future::pending().await,
            },
            None => 0,
        }
    }

    /// What went over Redis so far.
    pub fn figures(&self) -> Option<&Figures> {
        Some(&self.others.as_ref()?.figures)
    }

    /// Hears of the changes from now on.
    pub fn listen(&self, name: String) -> Listener {
        let topic = self.topics.lock().entry(name.clone()).or_default().clone();
        let seen = topic.version.subscribe();
        Listener { events: self.clone(), name, topic: Some(topic), seen }
    }

    /// Whether somebody listens to a topic.
    pub fn is_listened_to(&self, topic: &str) -> bool {
        self.topics.lock().contains_key(topic)
    }

    /// What somebody listens to among the topics that begin like this, without that beginning.
    pub fn listened_to(&self, beginning: &str) -> Vec<String> {
        let topics = self.topics.lock();
        topics.keys().filter_map(|topic| Some(topic.strip_prefix(beginning)?.to_owned())).collect()
    }

    /// How many listen to a topic, in this process.
    pub fn listeners(&self, topic: &str) -> usize {
        self.topics.lock().get(topic).map_or(0, |topic| topic.version.receiver_count())
    }

    /// Ends when nobody listens to a topic any more.
    pub async fn deserted(&self, topic: &str) {
        let listened = self.topics.lock().get(topic).map(|topic| topic.version.clone());
        if let Some(version) = listened {
            version.closed().await;
        }
    }

    /// How many topics somebody listens to.
    pub fn topics(&self) -> usize {
        self.topics.lock().len()
    }
}

impl Listener {
    /// Ends at the next change, or at once when there was one since the last call.
    pub async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How often the topic changed since somebody listens to it.
    pub fn changes(&self) -> u64 {
        *self.seen.borrow()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut topics = self.events.topics.lock();
        // Within the lock, or two that leave at once would each see the other.
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

    #[tokio::test]
    async fn a_gap_is_a_change_of_everything() {
        let events = Events::default();
        let (mut a, mut b) = (events.listen("a".to_owned()), events.listen("b".to_owned()));
        events.publish_all();
        assert!(a.changed().now_or_never().is_some() && b.changed().now_or_never().is_some());
        events.publish("a");
        assert!(a.changed().now_or_never().is_some() && b.changed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_topic_is_forgotten_with_its_last_listener() {
        let events = Events::default();
        let (first, second) = (events.listen("a".to_owned()), events.listen("a".to_owned()));
        drop(first);
        assert_eq!(events.topics(), 1);
        drop(second);
        assert_eq!(events.topics(), 0);
        events.publish("a");
    }
}
