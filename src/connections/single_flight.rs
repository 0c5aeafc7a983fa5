//! Single flight: work that many callers ask for at once is done once, and all get its result. It runs on a task of its
//! own, so that it also ends when every caller has gone away.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

type Flights<K, T> = Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>;

/// The work that is being done, by its key.
#[derive(Debug)]
pub struct SingleFlight<K, T> {
    flights: Flights<K, T>,
    tasks: TaskTracker,
}

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self { flights: Arc::default(), tasks: TaskTracker::new() }
    }
}

/// Removes a flight when its task ends, even by a panic.
struct FlightGuard<K: Eq + Hash, T> {
    flights: Flights<K, T>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for FlightGuard<K, T> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl<K, T> SingleFlight<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// The result of the work with this key: of the one that is being done, else of new work. `None` if it panicked.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut result = self.join_or_start(key, work);
        result.wait_for(Option::is_some).await.ok()?.clone()
    }

    fn join_or_start<F>(&self, key: K, work: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        let (guard, work) = (FlightGuard { flights: self.flights.clone(), key }, work());
        let task = async move {
            let result = work.await;
            // Before the result is known: who asks after that starts new work.
            drop(guard);
            sender.send_replace(Some(result));
        };
        self.tasks.spawn(task.in_current_span());
        receiver
    }

    /// Waits for all work. None must be started any more.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use futures_util::{FutureExt, poll};
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn work_is_done_once_for_all_that_wait_for_it() {
        let flights = SingleFlight::<u8, usize>::default();
        let (runs, proceed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let run = || {
            flights.run(7, || {
                let (runs, proceed) = (runs.clone(), proceed.clone());
                async move {
                    let run = runs.fetch_add(1, Ordering::Relaxed);
                    proceed.notified().await;
                    run
                }
            })
        };
        // The first one goes away.
        assert!(Box::pin(run()).now_or_never().is_none());
        let mut all = Box::pin(join_all((0..100).map(|_| run())));
        assert!(poll!(&mut all).is_pending());
        proceed.notify_one();
        assert_eq!(all.await, [Some(0); 100]);
        proceed.notify_one();
        assert_eq!(run().await, Some(1), "later callers start new work");
        assert!(flights.flights.lock().is_empty());
        flights.finish().await;
    }

    #[tokio::test]
    async fn a_panic_ends_a_flight() {
        let flights = SingleFlight::<u8, usize>::default();
        let panicking = async { panic!("intended by the test") };
        assert_eq!(flights.run(7, || panicking).await, None);
        assert_eq!(flights.run(7, || async { 1 }).await, Some(1));
    }
}
