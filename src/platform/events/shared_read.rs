//! Shared reads: the state behind a topic is read once after each change, for all streams that follow it with the same
//! arguments.
//!
//! Reads run on a task of their own, so that one stream whose client is slow does not delay the others.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::try_unfold;
use futures_util::{FutureExt, Stream};
use tokio::sync::{Mutex, Semaphore, watch};

use super::bus::{Events, Listener, Refresh};
use crate::error::{Error, Result};

/// Reads one type of state for all followers of a topic with the same arguments.
struct SharedReader<T, A> {
    arguments: A,
    read: Box<dyn Fn() -> BoxFuture<'static, Result<T>> + Send + Sync>,
    /// The topic's number of changes.
    version: watch::Sender<u64>,
    /// The last result, and the version that it includes at least.
    states: watch::Sender<(u64, Option<Result<T>>)>,
    is_reading: AtomicBool,
    /// The last of the reads for new followers: its number, and its result.
    first_read: Mutex<(u64, Option<Result<T>>)>,
    /// How many reads for new followers have started.
    first_reads: AtomicU64,
    read_permits: Arc<Semaphore>,
}

impl<T, A> Refresh for SharedReader<T, A>
where
    T: Clone + Send + Sync + 'static,
    A: Send + Sync + 'static,
{
    fn refresh(self: Arc<Self>) {
        if self.states.receiver_count() > 0 && !self.is_reading.swap(true, Ordering::SeqCst) {
            tokio::spawn(self.read_until_current());
        }
    }

    fn is_followed(&self) -> bool {
        self.states.receiver_count() > 0
    }
}

impl<T, A> SharedReader<T, A>
where
    T: Clone + Send + Sync + 'static,
    A: Send + Sync + 'static,
{
    /// Reads until nothing changed during the read.
    async fn read_until_current(self: Arc<Self>) {
        let read_permits = self.read_permits.clone();
        loop {
            // The semaphore is never closed.
            let _permit = read_permits.acquire().await;
            // The read includes every change up to this version.
            let version = *self.version.borrow();
            let result = AssertUnwindSafe((self.read)()).catch_unwind().await;
            let state = result.unwrap_or_else(|_| Err(Error::internal("a reading panicked")));
            self.states.send_replace((version, Some(state)));
            self.is_reading.store(false, Ordering::SeqCst);
            let has_changed = *self.version.borrow() > version;
            if !has_changed || self.is_reading.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}

impl<T: Clone, A> SharedReader<T, A> {
    /// Reads the current state for new followers. Those who come while a read runs share the next one, which starts after
    /// all of them have come.
    async fn read_for_new_followers(&self) -> Result<T> {
        let next = self.first_reads.load(Ordering::SeqCst) + 1;
        let mut last = self.first_read.lock().await;
        if let (number, Some(result)) = &*last
            && *number >= next
        {
            return result.clone();
        }
        // The semaphore is never closed.
        let _permit = self.read_permits.acquire().await;
        let number = self.first_reads.fetch_add(1, Ordering::SeqCst) + 1;
        let result = (self.read)().await;
        *last = (number, Some(result.clone()));
        result
    }
}

/// Follows the state of a topic until it is dropped.
pub struct SharedRead<T, A = ()> {
    reader: Arc<SharedReader<T, A>>,
    states: watch::Receiver<(u64, Option<Result<T>>)>,
    /// Version of the last returned state. Initially the version at subscription, which [`Self::read_once`] includes.
    version: u64,
    _listener: Listener,
}

impl<T, A> SharedRead<T, A>
where
    T: Clone + Send + Sync + 'static,
    A: Send + Sync + 'static,
{
    /// Reads the current state.
    pub async fn read_once(&self) -> Result<T> {
        self.reader.read_for_new_followers().await
    }

    /// Waits for the state after the next change. Returns at once if it changed since the last call. Cancel safe.
    pub async fn next(&mut self) -> Result<T> {
        loop {
            if self.states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let (version, Some(state)) = &*self.states.borrow_and_update()
                && *version > self.version
            {
                self.version = *version;
                return state.clone();
            }
        }
    }
}

impl Events {
    /// Follows a state from now on. `read` must return the same for all followers of the topic with the same
    /// `arguments`: state that only one viewer may see needs a topic of that viewer.
    pub fn follow<T, A, F>(
        &self,
        topic: String,
        arguments: A,
        read: impl Fn() -> F + Send + Sync + 'static,
    ) -> SharedRead<T, A>
    where
        T: Clone + Send + Sync + 'static,
        A: PartialEq + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let listener = self.listen(topic);
        let topic = listener.topic();
        let mut readers = topic.readers.lock();
        let existing_reader = readers.iter().find_map(|reader| {
            let reader: Arc<dyn Any + Send + Sync> = reader.clone();
            let reader = reader.downcast::<SharedReader<T, A>>().ok();
            reader.filter(|reader| reader.arguments == arguments)
        });
        let reader = existing_reader.unwrap_or_else(|| {
            let reader = Arc::new(SharedReader {
                arguments,
                read: Box::new(move || read().boxed()),
                version: topic.version.clone(),
                states: watch::Sender::new((0, None)),
                is_reading: AtomicBool::new(false),
                first_read: Mutex::new((0, None)),
                first_reads: AtomicU64::new(0),
                read_permits: self.read_permits.clone(),
            });
            readers.retain(|reader| reader.is_followed());
            readers.push(reader.clone());
            reader
        });
        drop(readers);
        let (states, version) = (reader.states.subscribe(), *topic.version.borrow());
        SharedRead { reader, states, version, _listener: listener }
    }

    /// Streams the current state, then the state after each change, until a read fails.
    ///
    /// It listens before the first read, so no change is missed.
    pub fn stream_states<T, R, F>(
        &self,
        topic: String,
        read: R,
    ) -> impl Stream<Item = Result<T>> + Send + use<T, R, F>
    where
        T: Clone + Send + Sync + 'static,
        R: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        try_unfold((self.follow(topic, (), read), true), async |(mut shared_read, is_first)| {
            let state =
                if is_first { shared_read.read_once().await? } else { shared_read.next().await? };
            Ok(Some((state, (shared_read, false))))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;

    use futures_util::{StreamExt, poll};

    use futures_util::future::join_all;

    use super::*;

    /// A state that counts its reads.
    #[derive(Clone, Default)]
    struct CountedState {
        value: Arc<AtomicU32>,
        reads: Arc<AtomicU32>,
    }

    impl CountedState {
        fn stream(&self, events: &Events) -> impl Stream<Item = Result<u32>> + use<> {
            let this = self.clone();
            events.stream_states("counter".to_owned(), move || {
                this.reads.fetch_add(1, Ordering::Relaxed);
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
            .expect("the stream continues")
            .unwrap_or_else(|error| panic!("{}", error.describe()))
    }

    #[tokio::test]
    async fn a_stream_has_the_current_state_and_each_change() {
        let (events, counted) = (Events::default(), CountedState::default());
        let mut stream = pin!(counted.stream(&events));
        assert_eq!(next(&mut stream).await, 0);
        assert!(poll!(stream.next()).is_pending());
        counted.set(&events, 1);
        assert_eq!(next(&mut stream).await, 1);
        assert!(poll!(stream.next()).is_pending(), "the change arrives once");
    }

    #[tokio::test]
    async fn a_slow_stream_gets_the_latest_state() {
        let (events, counted) = (Events::default(), CountedState::default());
        let mut stream = pin!(counted.stream(&events));
        next(&mut stream).await;
        for value in 1..=50 {
            counted.set(&events, value);
        }
        assert_eq!(next(&mut stream).await, 50);
        assert!(poll!(stream.next()).is_pending());
    }

    #[tokio::test]
    async fn streams_of_a_topic_share_one_read_per_change() {
        let (events, counted) = (Events::default(), CountedState::default());
        let mut streams: Vec<_> = (0..100).map(|_| Box::pin(counted.stream(&events))).collect();
        for stream in &mut streams {
            next(stream).await;
        }
        let before = counted.reads.load(Ordering::Relaxed);
        counted.set(&events, 7);
        for stream in &mut streams {
            assert_eq!(next(stream).await, 7);
        }
        assert_eq!(counted.reads.load(Ordering::Relaxed) - before, 1);
    }

    #[tokio::test]
    async fn followers_with_other_arguments_have_a_read_of_their_own() {
        let (events, counted) = (Events::default(), CountedState::default());
        let follow = |factor: u32| {
            let CountedState { value, reads } = counted.clone();
            events.follow("counter".to_owned(), factor, move || {
                reads.fetch_add(1, Ordering::Relaxed);
                let value = value.load(Ordering::Relaxed);
                async move { Ok(factor * value) }
            })
        };
        let (mut doubled, mut tripled, mut also_tripled) = (follow(2), follow(3), follow(3));
        counted.set(&events, 7);
        assert_eq!(doubled.next().await.ok(), Some(14));
        assert_eq!(tripled.next().await.ok(), Some(21));
        assert_eq!(also_tripled.next().await.ok(), Some(21));
        assert_eq!(counted.reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failed_read_ends_the_stream() {
        let (events, counted) = (Events::default(), CountedState::default());
        let mut stream = pin!(counted.stream(&events));
        next(&mut stream).await;
        counted.set(&events, 99);
        assert!(stream.next().await.expect("an error").is_err());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn an_unpolled_stream_does_not_delay_others() {
        let events = Events::default();
        let slow_read = || async {
            tokio::task::yield_now().await;
            Ok(1)
        };
        let (mut first, mut second) = (
            events.follow("a".to_owned(), (), slow_read),
            events.follow("a".to_owned(), (), slow_read),
        );
        let mut stuck = pin!(first.next());
        assert!(poll!(&mut stuck).is_pending());
        events.publish("a");
        assert!(poll!(&mut stuck).is_pending(), "it waits for the read");
        assert_eq!(second.next().await.ok(), Some(1));
    }

    #[tokio::test]
    async fn a_change_during_a_read_is_read_too() {
        let (events, counted) = (Events::default(), CountedState::default());
        let (value, publisher) = (counted.value.clone(), events.clone());
        let mut shared_read = events.follow("counter".to_owned(), (), move || {
            let (current, publisher) = (value.load(Ordering::Relaxed), publisher.clone());
            let value = value.clone();
            async move {
                if current == 1 {
                    value.store(2, Ordering::Relaxed);
                    publisher.publish("counter");
                }
                Ok(current)
            }
        });
        counted.set(&events, 1);
        let mut states = Vec::new();
        while states.last() != Some(&2) {
            states.extend(shared_read.next().await.ok());
        }
        assert!(poll!(pin!(shared_read.next())).is_pending(), "after {states:?}");
    }

    #[tokio::test]
    async fn a_read_that_panics_is_an_error_and_is_repeated() {
        let (events, counted) = (Events::default(), CountedState::default());
        let value = counted.value.clone();
        let mut shared_read = events.follow("counter".to_owned(), (), move || {
            let value = value.load(Ordering::Relaxed);
            async move {
                assert!(value != 13, "a read that panics");
                Ok(value)
            }
        });
        counted.set(&events, 13);
        assert!(shared_read.next().await.is_err());
        counted.set(&events, 14);
        assert_eq!(shared_read.next().await.ok(), Some(14));
    }
    #[tokio::test]
    async fn followers_who_come_during_a_read_share_the_next_one() {
        let (events, reads) = (Events::default(), Arc::new(AtomicU64::new(0)));
        let gate = Arc::new(Semaphore::new(0));
        let followers: Vec<SharedRead<u64>> = (0..20)
            .map(|_| {
                let (reads, gate) = (reads.clone(), gate.clone());
                events.follow("counter".to_owned(), (), move || {
                    let (number, gate) = (reads.fetch_add(1, Ordering::SeqCst), gate.clone());
                    async move {
                        gate.acquire().await.map_err(Error::internal)?.forget();
                        Ok(number)
                    }
                })
            })
            .collect();
        let mut first = pin!(followers[0].read_once());
        assert!(poll!(&mut first).is_pending());
        let mut others = pin!(join_all(followers[1..].iter().map(SharedRead::read_once)));
        assert!(poll!(&mut others).is_pending());
        gate.add_permits(2);
        assert_eq!(first.await.ok(), Some(0));
        assert!(others.await.into_iter().all(|number| number.ok() == Some(1)));
    }
}
