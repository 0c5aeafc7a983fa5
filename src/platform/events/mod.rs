//! The event bus: a topic says that something changed, never what it is now.
//!
//! A listener reads the state again. It is told once of any number of changes, so a slow one misses states
//! in between and never the last; streams of one topic that wake together share one reading.
//!
//! What is published is heard by every instance, where Redis carries it; without Redis by this one alone.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use others::Others;
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::error::Result;

mod carry;
mod installation;
mod others;

pub use carry::{carry, try_redis};
pub use others::{Figures, Link};

/// The topics that somebody listens to, in this process.
#[derive(Clone, Default)]
pub struct Events {
    topics: Arc<Mutex<HashMap<String, Arc<Topic>>>>,
    /// None: there is no Redis, and this instance is alone.
    others: Option<Arc<Others>>,
}

struct Topic {
    /// How many changes were told.
    version: watch::Sender<u64>,
    /// What the last reading came to, and the version it has at least.
    state: tokio::sync::Mutex<Option<(u64, Arc<dyn Any + Send + Sync>)>>,
}

impl Topic {
    fn tell(&self) {
        self.version.send_modify(|version| *version += 1);
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
        Self { topics: Arc::default(), others }
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
        let topic = self
            .topics
            .lock()
            .entry(name.clone())
            .or_insert_with(|| {
                Arc::new(Topic {
                    version: watch::Sender::new(0),
                    state: tokio::sync::Mutex::default(),
                })
            })
            .clone();
        let seen = topic.version.subscribe();
        Listener { events: self.clone(), name, topic: Some(topic), seen }
    }

    /// The state now, then the state after each change, until reading it fails.
    ///
    /// Listening begins before the first reading, so no change falls between. `read` answers the same to
    /// every stream of the topic: what only one viewer may see has a topic of that viewer's.
    pub fn states<T, R, F>(
        &self,
        topic: String,
        read: R,
    ) -> impl Stream<Item = Result<T>> + Send + use<T, R, F>
    where
        T: Clone + Send + Sync + 'static,
        R: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let start = (self.listen(topic), Arc::new(read), true);
        try_unfold(start, async |(mut listener, read, is_first)| {
            if !is_first {
                listener.changed().await;
            }
            let state = listener.state(&*read, is_first).await?;
            Ok(Some((state, (listener, read, false))))
        })
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

    /// The state as of the change that was heard last, or later. The first reading is always a new one; of the
    /// later ones, all who listen share one. For those who wait for several topics: what [`Events::states`] has
    /// begun to read would keep its place in the database while another is waited for.
    ///
    /// # Errors
    /// Those of the reading.
    pub async fn state<T, F>(&self, read: &impl Fn() -> F, is_first: bool) -> Result<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T>>,
    {
        if is_first {
            return read().await;
        }
        let Some(topic) = &self.topic else { return read().await };
        let mut known = topic.state.lock().await;
        let heard = *self.seen.borrow();
        if let Some((version, state)) = &*known
            && *version >= heard
            && let Some(state) = state.downcast_ref::<Result<T>>()
        {
            return state.clone();
        }
        // What is read now has every change that was told before.
        let version = *topic.version.borrow();
        let state = read().await;
        *known = Some((version, Arc::new(state.clone())));
        state
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
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::{FutureExt, StreamExt, poll};

    use super::*;
    use crate::error::Error;

    /// A state that counts how often it was read.
    #[derive(Clone, Default)]
    struct Counted {
        value: Arc<AtomicU32>,
        read: Arc<AtomicU32>,
    }

    impl Counted {
        fn stream(&self, events: &Events) -> impl Stream<Item = Result<u32>> + use<> {
            let this = self.clone();
            events.states("counter".to_owned(), move || {
                this.read.fetch_add(1, Ordering::Relaxed);
                let value = this.value.load(Ordering::Relaxed);
                async move {
                    match value {
                        99 => Err(Error::not_found("counter")),
                        value => Ok(value),
                    }
                }
            })
        }

        fn set(&self, events: &Events, value: u32) {
            self.value.store(value, Ordering::Relaxed);
            events.publish("counter");
        }
    }

    async fn next(stream: &mut (impl Stream<Item = Result<u32>> + Unpin)) -> u32 {
        stream
            .next()
            .await
            .expect("it goes on")
            .unwrap_or_else(|error| panic!("{}", error.describe()))
    }

    #[tokio::test]
    async fn the_state_now_and_after_each_change() {
        let (events, counted) = (Events::default(), Counted::default());
        let mut stream = pin!(counted.stream(&events));
        assert_eq!(next(&mut stream).await, 0);
        assert!(poll!(stream.next()).is_pending());
        counted.set(&events, 1);
        assert_eq!(next(&mut stream).await, 1);
        assert!(poll!(stream.next()).is_pending(), "told once");
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_newest() {
        let (events, counted) = (Events::default(), Counted::default());
        let mut stream = pin!(counted.stream(&events));
        next(&mut stream).await;
        for value in 1..=50 {
            counted.set(&events, value);
        }
        assert_eq!(next(&mut stream).await, 50);
        assert!(poll!(stream.next()).is_pending());
    }

    #[tokio::test]
    async fn streams_that_wake_together_share_one_reading() {
        let (events, counted) = (Events::default(), Counted::default());
        let mut streams: Vec<_> = (0..100).map(|_| Box::pin(counted.stream(&events))).collect();
        for stream in &mut streams {
            next(stream).await;
        }
        let before = counted.read.load(Ordering::Relaxed);
        counted.set(&events, 7);
        for stream in &mut streams {
            assert_eq!(next(stream).await, 7);
        }
        assert_eq!(counted.read.load(Ordering::Relaxed) - before, 1);
    }

    #[tokio::test]
    async fn a_state_that_cannot_be_read_ends_the_stream() {
        let (events, counted) = (Events::default(), Counted::default());
        let mut stream = pin!(counted.stream(&events));
        next(&mut stream).await;
        counted.set(&events, 99);
        assert!(stream.next().await.expect("an error").is_err());
        assert!(stream.next().await.is_none());
    }

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
