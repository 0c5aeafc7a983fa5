//! Work in the background: what wakes a worker, how long it rests after a failure, and whose turn it is
//! when one instance does something for all.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Platform;
use super::clock::{Instant, is_waiting};
use super::database::Work;
use super::events::Listener;
use crate::error::Result;

mod entity;

/// How often a worker looks whether something is due that it was not told of: another instance's work.
pub const POLL: Duration = Duration::from_secs(1);
/// How long a worker rests when what it does fails as a whole.
const REST: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(10) };
/// How long a turn may take before another instance may have it.
const TURN: Duration = Duration::from_mins(5);

/// Wakes a worker of this instance. A call while it works is not lost.
#[derive(Debug, Default)]
pub struct Wake(Notify);

impl Wake {
    /// There is something to do.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Ends when there is.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// What tells a worker that there is something to do.
pub enum Woken<'a> {
    /// Nothing does: it looks for itself.
    Never,
    /// Deeds of this instance.
    By(&'a Wake),
    /// An event, of whatever instance.
    At(Listener),
}

impl Woken<'_> {
    async fn woken(&mut self) {
        match self {
            Self::Never => std::future::pending().await,
            Self::By(wake) => wake.woken().await,
            Self::At(listener) => listener.changed().await,
        }
    }
}

/// How long to wait after so many failures: anything up to a bound that doubles each time ("full jitter").
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The bound after the first failure.
    pub first: Duration,
    /// The bound that is not doubled any more.
    pub longest: Duration,
}

impl Backoff {
    /// The bound after so many failures, of which there is at least one.
    pub fn bound(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(doubled).min(self.longest)
    }

    /// How long to wait after so many failures.
    pub fn delay(&self, failures: u32, platform: &Platform) -> Duration {
        let share = f64::from(u32::from_be_bytes(platform.random())) / f64::from(u32::MAX);
        let micros = self.bound(failures).mul_f64(share).as_micros();
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// Does a job for ever: at once, whenever it is woken, when it says that something is due, and once a
/// second. What goes wrong is logged, and tried again after a rest. Ends when the process stops, after what
/// is being done.
pub async fn forever<'a>(
    platform: &Platform,
    stopping: &CancellationToken,
    mut woken: Woken<'_>,
    job: impl Fn() -> BoxFuture<'a, Result<Option<Instant>>> + Send,
) {
    let mut failures = 0;
    while !stopping.is_cancelled() {
        let done = AssertUnwindSafe(job()).catch_unwind().await;
        let next = match done {
            Ok(Ok(due)) => {
                failures = 0;
                let poll = platform.now() + POLL;
                due.map_or(poll, |due| due.min(poll))
            }
            failed => {
                match failed {
                    Ok(Err(error)) => error.log(),
                    _ => tracing::error!("a job in the background panicked"),
                }
                failures += 1;
                platform.now() + REST.delay(failures, platform)
            }
        };
        tokio::select! {
            () = platform.clock.sleep_until(next) => {}
            () = woken.woken(), if failures == 0 => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// A turn to do what one instance does for all.
#[derive(Debug)]
pub struct Turn {
    name: &'static str,
    until: Instant,
    /// How far the last turn got, as it said itself.
    pub watermark: Option<String>,
}

/// Takes the turn of a job, if it is due and no other instance has it. It is due again `each` time later, at most.
///
/// # Errors
/// Those of the database.
pub async fn take_turn(
    platform: &Platform,
    name: &'static str,
    each: Duration,
) -> Result<Option<Turn>> {
    let (now, longest) = (platform.now(), each.max(TURN));
    match entity::by_name(platform.database.reads(), name).await? {
        Some(job) if is_waiting(now, job.due_at, longest) => return Ok(None),
        _ => {}
    }
    let until = now + TURN;
    let tx = platform.database.begin().await?;
    let taken = entity::take(&tx, name, (now, longest), until).await?;
    tx.commit().await?;
    Ok(taken.map(|watermark| Turn { name, until, watermark }))
}

impl Turn {
    /// Ends the turn in a transaction: how far it got, and when the next one is due.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end(self, tx: &Work, watermark: Option<String>, due: Instant) -> Result<()> {
        Ok(entity::end(tx, self.name, self.until, watermark, due).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::DateTime;
    use futures_util::poll;
    use parking_lot::Mutex;
    use tokio::task::unconstrained;
    use tracing::Dispatch;
    use tracing::dispatcher::{self, DefaultGuard};

    use super::*;
    use crate::config::Config;
    use crate::error::Error;
    use crate::platform::clock::ManualClock;
    use crate::platform::database::Database;
    use crate::platform::entropy::Entropy;
    use crate::platform::events::Events;
    use crate::platform::files::Files;
    use crate::platform::outbound::Outbound;
    use crate::platform::temp_files::TempFiles;
    use crate::platform::vault::Vault;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// What is drawn from it is as high as can be, so that a rest is as long as its bound.
    struct Highest;

    impl Entropy for Highest {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(u8::MAX);
        }
    }

    async fn platform() -> (Platform, ManualClock) {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let settings = [("DATABASE_URL", "sqlite::memory:"), ("FILE_STORE", "memory:")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = Config::from_values(settings.into()).expect("good settings");
        let platform = Platform {
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(Highest),
            database: Database::connect(&config.database).await.expect("a database"),
            vault: Vault::parse(&Vault::generate(&Highest)).expect("a ring"),
            outbound: Outbound::new(Arc::new(clock.clone())),
            events: Events::default(),
            files: Files::open(&config.files).expect("a store"),
            temp_files: TempFiles::open(&config.files.temp_folders, 1).expect("a folder"),
        };
        (platform, clock)
    }

    /// A job of the test, which answers by how often it was done.
    struct Job<F> {
        runs: AtomicUsize,
        answer: F,
    }

    impl<F: Fn(usize) -> Result<Option<Instant>> + Sync> Job<F> {
        fn new(answer: F) -> Self {
            Self { runs: AtomicUsize::new(0), answer }
        }

        fn run(&self) -> BoxFuture<'_, Result<Option<Instant>>> {
            let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
            async move { (self.answer)(run) }.boxed()
        }

        fn runs(&self) -> usize {
            self.runs.load(Ordering::Relaxed)
        }
    }

    /// Lets a worker go on for as long as it can. Answers whether it waits for something then, or has ended.
    async fn waits(worker: &mut Pin<&mut impl Future<Output = ()>>) -> bool {
        poll!(worker.as_mut()).is_pending()
    }

    /// What is logged on this thread, until the guard is dropped.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn listen(&self) -> (DefaultGuard, Dispatch) {
            let to = |log: Self| {
                Dispatch::new(tracing_subscriber::fmt().with_writer(move || log.clone()).finish())
            };
            // With one dispatcher alone, what another thread logs first would be switched off for all.
            let another = to(Self::default());
            (dispatcher::set_default(&to(self.clone())), another)
        }

        fn lines(&self, of: &str) -> usize {
            String::from_utf8_lossy(&self.0.lock()).lines().filter(|line| line.contains(of)).count()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(1) };
        let bounds: Vec<u64> = (1..8).map(|failures| backoff.bound(failures).as_secs()).collect();
        assert_eq!(bounds, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.bound(u32::MAX).as_secs(), 60);
    }

    #[tokio::test]
    async fn a_worker_begins_at_once_and_looks_again_every_second() {
        let (platform, clock) = platform().await;
        let (stopping, job) = (CancellationToken::new(), Job::new(|_| Ok(None)));
        let mut worker =
            pin!(unconstrained(forever(&platform, &stopping, Woken::Never, || job.run())));
        for runs in 1..5 {
            assert!(waits(&mut worker).await);
            assert_eq!(job.runs(), runs);
            clock.advance(POLL.saturating_sub(MILLISECOND));
            assert!(waits(&mut worker).await);
            assert_eq!(job.runs(), runs, "not yet");
            clock.advance(MILLISECOND);
        }
    }

    #[tokio::test]
    async fn a_worker_is_woken_also_while_it_works() {
        let (platform, _clock) = platform().await;
        let (stopping, wake) = (CancellationToken::new(), Wake::default());
        let job = Job::new(|run| {
            if run == 3 {
                wake.wake();
                wake.wake();
            }
            Ok(None)
        });
        let mut worker =
            pin!(unconstrained(forever(&platform, &stopping, Woken::By(&wake), || job.run())));
        assert!(waits(&mut worker).await && waits(&mut worker).await);
        assert_eq!(job.runs(), 1);
        wake.wake();
        assert!(waits(&mut worker).await);
        assert_eq!(job.runs(), 2);
        wake.wake();
        assert!(waits(&mut worker).await);
        assert_eq!(job.runs(), 4, "once more for what it was woken for while it worked");
    }

    #[tokio::test]
    async fn a_worker_comes_back_when_the_job_says_that_it_is_due() {
        let (platform, clock) = platform().await;
        let stopping = CancellationToken::new();
        let job = Job::new(|run| {
            let now = platform.now();
            Ok(match run {
                1 => Some(now + MILLISECOND * 300),
                // What is due, and what was.
                2 => Some(now),
                3 => Some(now - POLL),
                // Another instance may have something sooner.
                _ => Some(now + POLL * 60),
            })
        });
        let mut worker =
            pin!(unconstrained(forever(&platform, &stopping, Woken::Never, || job.run())));
        for (wait, runs) in [(0, 1), (299, 1), (1, 4), (999, 4), (1, 5)] {
            clock.advance(MILLISECOND * wait);
            assert!(waits(&mut worker).await);
            assert_eq!(job.runs(), runs);
        }
    }

    #[tokio::test]
    async fn a_worker_whose_job_fails_says_so_and_rests_longer_each_time() {
        let (platform, clock) = platform().await;
        let (stopping, wake, log) = (CancellationToken::new(), Wake::default(), Log::default());
        let _listening = log.listen();
        let job = Job::new(|run| match run {
            7 => Ok(None),
            _ => Err(Error::internal("the disk is full")),
        });
        let mut worker =
            pin!(unconstrained(forever(&platform, &stopping, Woken::By(&wake), || job.run())));
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10)] {
            assert!(waits(&mut worker).await);
            assert_eq!((job.runs(), log.lines("the disk is full")), (failures, failures));
            wake.wake();
            clock.advance(Duration::from_secs(seconds).saturating_sub(MILLISECOND));
            assert!(waits(&mut worker).await);
            assert_eq!(job.runs(), failures, "it rests, whoever wakes it");
            clock.advance(MILLISECOND);
        }
        // The seventh goes well, and it was woken meanwhile. The eighth is a first failure.
        assert!(waits(&mut worker).await);
        assert_eq!((job.runs(), log.lines("the disk is full")), (8, 7));
        clock.advance(Duration::from_secs(1));
        assert!(waits(&mut worker).await);
        assert_eq!(job.runs(), 9);
    }

    #[tokio::test]
    async fn a_worker_survives_a_job_that_panics() {
        let (platform, clock) = platform().await;
        let (stopping, log) = (CancellationToken::new(), Log::default());
        let _listening = log.listen();
        let job = Job::new(|run| match run {
            1 | 2 => panic!("as the test wants it"),
            _ => Ok(None),
        });
        let mut worker =
            pin!(unconstrained(forever(&platform, &stopping, Woken::Never, || job.run())));
        for (seconds, runs) in [(0, 1), (1, 2), (1, 2), (1, 3), (1, 4)] {
            clock.advance(Duration::from_secs(seconds));
            assert!(waits(&mut worker).await);
            assert_eq!(job.runs(), runs);
        }
        assert_eq!(log.lines("a job in the background panicked"), 2);
    }

    #[tokio::test]
    async fn a_worker_that_is_stopped_ends_after_what_it_is_doing() {
        let (platform, _clock) = platform().await;
        let (stopping, go, done) = (CancellationToken::new(), Notify::new(), AtomicUsize::new(0));
        let job = || {
            async {
                go.notified().await;
                done.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            .boxed()
        };
        let mut worker = pin!(unconstrained(forever(&platform, &stopping, Woken::Never, job)));
        assert!(waits(&mut worker).await);
        stopping.cancel();
        assert!(waits(&mut worker).await, "it is doing something");
        go.notify_one();
        assert!(!waits(&mut worker).await);
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_worker_that_waits_ends_as_soon_as_it_is_stopped() {
        let (platform, _clock) = platform().await;
        for answer in [|| Ok(None), || Err(Error::internal("it rests"))] {
            let (stopping, job) = (CancellationToken::new(), Job::new(|_| answer()));
            let mut worker =
                pin!(unconstrained(forever(&platform, &stopping, Woken::Never, || job.run())));
            assert!(waits(&mut worker).await);
            stopping.cancel();
            assert!(!waits(&mut worker).await);
            assert_eq!(job.runs(), 1);
            forever(&platform, &stopping, Woken::Never, || job.run()).await;
            assert_eq!(job.runs(), 1, "nothing is begun any more");
        }
    }
}
