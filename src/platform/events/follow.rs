//! Following the state of a topic: it is read once after each change, for all who follow it.
//!
//! A task of its own reads: whoever follows may be held up at any moment by a client that does not take what
//! it is sent, and must not hold up the others. All wake when the state is there, once.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use futures_util::{FutureExt, Stream};
use tokio::sync::{Semaphore, watch};

use super::{Events, Listener};
use crate::error::{Error, Result};

/// Something that is read again after each change.
pub(super) trait Reads: Any + Send + Sync {
    /// Reads, unless it is reading: then once more when that is done.
    fn read_again(self: Arc<Self>);
}

/// Reads one kind of state for all who follow it.
struct Reader<T> {
    read: Box<dyn Fn() -> BoxFuture<'static, Result<T>> + Send + Sync>,
    /// How many changes were told.
    version: watch::Sender<u64>,
    /// What the last reading came to, and the version it has at least.
    states: watch::Sender<(u64, Option<Result<T>>)>,
    is_reading: AtomicBool,
    turns: Arc<Semaphore>,
}

impl<T: Clone + Send + Sync + 'static> Reads for Reader<T> {
    fn read_again(self: Arc<Self>) {
        if self.states.receiver_count() > 0 && !self.is_reading.swap(true, Ordering::SeqCst) {
            tokio::spawn(self.read_all());
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Reader<T> {
    /// Reads until nothing has changed meanwhile.
    async fn read_all(self: Arc<Self>) {
        let turns = self.turns.clone();
        loop {
            // Never closed, so there is one.
            let _turn = turns.acquire().await;
            // What is read now has every change that was told before.
            let version = *self.version.borrow();
            let read = AssertUnwindSafe((self.read)()).catch_unwind().await;
            let state = read.unwrap_or_else(|_| Err(Error::internal("a reading panicked")));
            self.states.send_replace((version, Some(state)));
            self.is_reading.store(false, Ordering::SeqCst);
            let has_changed = *self.version.borrow() > version;
            if !has_changed || self.is_reading.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// Follows the state of a topic as long as it lives.
pub struct Follower<T> {
    reader: Arc<Reader<T>>,
    states: watch::Receiver<(u64, Option<Result<T>>)>,
    /// What was told by then, the first reading has.
    heard: u64,
    _listener: Listener,
}

impl<T: Clone + Send + Sync + 'static> Follower<T> {
    /// The state now, read for this follower alone.
    ///
    /// # Errors
    /// Those of the reading.
    pub async fn first(&self) -> Result<T> {
        (self.reader.read)().await
    }

    /// The state after the next change, or at once when it changed since the last call. Nothing is lost when
    /// this is dropped while it waits.
    ///
    /// # Errors
    /// Those of the reading.
    pub async fn next(&mut self) -> Result<T> {
        loop {
            if self.states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let (version, Some(state)) = &*self.states.borrow_and_update()
                && *version > self.heard
            {
                self.heard = *version;
                return state.clone();
            }
        }
    }
}

impl Events {
    /// Follows a state from now on. `read` answers the same to everyone who follows the topic: what only one
    /// viewer may see has a topic of that viewer's.
    pub fn follow<T, F>(
        &self,
        topic: String,
        read: impl Fn() -> F + Send + Sync + 'static,
    ) -> Follower<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let listener = self.listen(topic);
        let topic = listener.topic.as_ref().expect("it is there until the listener is dropped");
        let mut readers = topic.readers.lock();
        let known = readers.iter().find_map(|reader| {
            let reader: Arc<dyn Any + Send + Sync> = reader.clone();
            reader.downcast::<Reader<T>>().ok()
        });
        let reader = known.unwrap_or_else(|| {
            let reader = Arc::new(Reader {
                read: Box::new(move || read().boxed()),
                version: topic.version.clone(),
                states: watch::Sender::new((0, None)),
                is_reading: AtomicBool::new(false),
                turns: self.readings.clone(),
            });
            readers.push(reader.clone());
            reader
        });
        drop(readers);
        let (states, heard) = (reader.states.subscribe(), *topic.version.borrow());
        Follower { reader, states, heard, _listener: listener }
    }

    /// The state now, then the state after each change, until reading it fails.
    ///
    /// Listening begins before the first reading, so no change falls between.
    pub fn states<T, R, F>(
        &self,
        topic: String,
        read: R,
    ) -> impl Stream<Item = Result<T>> + Send + use<T, R, F>
    where
        T: Clone + Send + Sync + 'static,
        R: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        try_unfold((self.follow(topic, read), true), async |(mut follower, is_first)| {
            let state = if is_first { follower.first().await? } else { follower.next().await? };
            Ok(Some((state, (follower, false))))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;

    use futures_util::{StreamExt, poll};

    use super::*;

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
    async fn one_that_is_not_polled_holds_up_nobody() {
        let events = Events::default();
        let slow = || async {
            tokio::task::yield_now().await;
            Ok(1)
        };
        let (mut first, mut second) =
            (events.follow("a".to_owned(), slow), events.follow("a".to_owned(), slow));
        let mut stuck = pin!(first.next());
        assert!(poll!(&mut stuck).is_pending());
        events.publish("a");
        assert!(poll!(&mut stuck).is_pending(), "it waits for the reading");
        assert_eq!(second.next().await.ok(), Some(1));
    }

    #[tokio::test]
    async fn a_change_during_a_reading_is_read_too() {
        let (events, counted) = (Events::default(), Counted::default());
        let (value, changing) = (counted.value.clone(), events.clone());
        let mut follower = events.follow("counter".to_owned(), move || {
            let (before, changing) = (value.load(Ordering::Relaxed), changing.clone());
            let value = value.clone();
            async move {
                if before == 1 {
                    value.store(2, Ordering::Relaxed);
                    changing.publish("counter");
                }
                Ok(before)
            }
        });
        counted.set(&events, 1);
        let mut told = Vec::new();
        while told.last() != Some(&2) {
            told.extend(follower.next().await.ok());
        }
        assert!(poll!(pin!(follower.next())).is_pending(), "after {told:?}");
    }

    #[tokio::test]
    async fn a_reading_that_panics_is_an_error_and_not_the_last() {
        let (events, counted) = (Events::default(), Counted::default());
        let value = counted.value.clone();
        let mut follower = events.follow("counter".to_owned(), move || {
            let value = value.load(Ordering::Relaxed);
            async move {
                assert!(value != 13, "a reading that panics");
                Ok(value)
            }
        });
        counted.set(&events, 13);
        assert!(follower.next().await.is_err());
        counted.set(&events, 14);
        assert_eq!(follower.next().await.ok(), Some(14));
    }
}
