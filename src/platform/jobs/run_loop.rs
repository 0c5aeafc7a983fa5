//! Loop of a background job: runs it when it is due, notified or polled, and backs off after errors.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::trigger::Trigger;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// How often a job checks for work that it was not notified of, such as another instance's.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
const ERROR_BACKOFF: Backoff =
    Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(10) };

/// Runs a job repeatedly: at once, on each trigger, at the due time that it returns, and once a second. Errors
/// and panics are logged, and delay the next run. Ends when the process stops, after the current run.
pub async fn run_loop<'a>(
    platform: &Platform,
    stopping: &CancellationToken,
    mut trigger: Trigger<'_>,
    job: impl Fn() -> BoxFuture<'a, Result<Option<Timestamp>>> + Send,
) {
    let mut failures = 0;
    while !stopping.is_cancelled() {
        let result = AssertUnwindSafe(job()).catch_unwind().await;
        let next_run = match result {
            Ok(Ok(due_at)) => {
                failures = 0;
                let next_poll = platform.now() + POLL_INTERVAL;
                due_at.map_or(next_poll, |due_at| due_at.min(next_poll))
            }
            failure => {
                match failure {
                    Ok(Err(error)) => error.log(),
                    _ => tracing::error!("a job in the background panicked"),
                }
                failures += 1;
                platform.now() + ERROR_BACKOFF.delay(failures, platform)
            }
        };
        tokio::select! {
            () = platform.clock.sleep_until(next_run) => {}
            () = trigger.wait(), if failures == 0 => {}
            () = stopping.cancelled() => {}
        }
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
    use tokio::sync::Notify;
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
    use crate::platform::jobs::Notifier;
    use crate::platform::outbound::Outbound;
    use crate::platform::temp_files::TempFiles;
    use crate::platform::vault::Vault;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Fills with the highest numbers, so that each backoff has its longest delay.
    struct MaxEntropy;

    impl Entropy for MaxEntropy {
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
            entropy: Arc::new(MaxEntropy),
            database: Database::connect(&config.database, Events::default())
                .await
                .expect("a database"),
            vault: Vault::parse(&Vault::generate(&MaxEntropy)).expect("a key ring"),
            outbound: Outbound::new(Arc::new(clock.clone())),
            events: Events::default(),
            files: Files::open(&config.files).expect("a store"),
            temp_files: TempFiles::open(&config.files.temp_folders, 1).expect("a folder"),
        };
        (platform, clock)
    }

    /// A job whose result depends on the number of its runs.
    struct Job<F> {
        runs: AtomicUsize,
        result: F,
    }

    impl<F: Fn(usize) -> Result<Option<Timestamp>> + Sync> Job<F> {
        fn new(result: F) -> Self {
            Self { runs: AtomicUsize::new(0), result }
        }

        fn run(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
            let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
            async move { (self.result)(run) }.boxed()
        }

        fn runs(&self) -> usize {
            self.runs.load(Ordering::Relaxed)
        }
    }

    /// Polls a loop. Returns whether it waits (true) or has ended (false).
    async fn is_pending(job_loop: &mut Pin<&mut impl Future<Output = ()>>) -> bool {
        poll!(job_loop.as_mut()).is_pending()
    }

    /// The log of this thread, until the guard is dropped.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn capture(&self) -> (DefaultGuard, Dispatch) {
            let dispatch = |log: Self| {
                Dispatch::new(tracing_subscriber::fmt().with_writer(move || log.clone()).finish())
            };
            // With a single dispatcher, a log statement that another thread reaches first would be disabled
            // for all threads.
            let second = dispatch(Self::default());
            (dispatcher::set_default(&dispatch(self.clone())), second)
        }

        fn count_lines(&self, text: &str) -> usize {
            let log = self.0.lock();
            String::from_utf8_lossy(&log).lines().filter(|line| line.contains(text)).count()
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

    #[tokio::test]
    async fn a_job_runs_at_once_and_then_every_second() {
        let (platform, clock) = platform().await;
        let (stopping, job) = (CancellationToken::new(), Job::new(|_| Ok(None)));
        let mut job_loop =
            pin!(unconstrained(run_loop(&platform, &stopping, Trigger::Interval, || job.run())));
        for runs in 1..5 {
            assert!(is_pending(&mut job_loop).await);
            assert_eq!(job.runs(), runs);
            clock.advance(POLL_INTERVAL.saturating_sub(MILLISECOND));
            assert!(is_pending(&mut job_loop).await);
            assert_eq!(job.runs(), runs, "not yet");
            clock.advance(MILLISECOND);
        }
    }

    #[tokio::test]
    async fn a_notification_during_a_run_starts_another_run() {
        let (platform, _clock) = platform().await;
        let (stopping, notifier) = (CancellationToken::new(), Notifier::default());
        let job = Job::new(|run| {
            if run == 3 {
                notifier.notify();
                notifier.notify();
            }
            Ok(None)
        });
        let mut job_loop = pin!(unconstrained(run_loop(
            &platform,
            &stopping,
            Trigger::Notifier(&notifier),
            || job.run()
        )));
        assert!(is_pending(&mut job_loop).await && is_pending(&mut job_loop).await);
        assert_eq!(job.runs(), 1);
        notifier.notify();
        assert!(is_pending(&mut job_loop).await);
        assert_eq!(job.runs(), 2);
        notifier.notify();
        assert!(is_pending(&mut job_loop).await);
        assert_eq!(job.runs(), 4, "one more run for the notifications during the third");
    }

    #[tokio::test]
    async fn a_job_runs_again_when_it_is_due() {
        let (platform, clock) = platform().await;
        let stopping = CancellationToken::new();
        let job = Job::new(|run| {
            let now = platform.now();
            Ok(match run {
                1 => Some(now + MILLISECOND * 300),
                // Due now, and overdue.
                2 => Some(now),
                3 => Some(now - POLL_INTERVAL),
                // Still polled each second: another instance may add work that is due sooner.
                _ => Some(now + POLL_INTERVAL * 60),
            })
        });
        let mut job_loop =
            pin!(unconstrained(run_loop(&platform, &stopping, Trigger::Interval, || job.run())));
        for (wait, runs) in [(0, 1), (299, 1), (1, 4), (999, 4), (1, 5)] {
            clock.advance(MILLISECOND * wait);
            assert!(is_pending(&mut job_loop).await);
            assert_eq!(job.runs(), runs);
        }
    }

    #[tokio::test]
    async fn failures_are_logged_and_retried_with_backoff() {
        let (platform, clock) = platform().await;
        let (stopping, notifier, log) =
            (CancellationToken::new(), Notifier::default(), Log::default());
        let _captured = log.capture();
        let job = Job::new(|run| match run {
            7 => Ok(None),
            _ => Err(Error::internal("the disk is full")),
        });
        let mut job_loop = pin!(unconstrained(run_loop(
            &platform,
            &stopping,
            Trigger::Notifier(&notifier),
            || job.run()
        )));
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10)] {
            assert!(is_pending(&mut job_loop).await);
            assert_eq!((job.runs(), log.count_lines("the disk is full")), (failures, failures));
            notifier.notify();
            clock.advance(Duration::from_secs(seconds).saturating_sub(MILLISECOND));
            assert!(is_pending(&mut job_loop).await);
            assert_eq!(job.runs(), failures, "notifications do not shorten the backoff");
            clock.advance(MILLISECOND);
        }
        // The seventh run succeeds, and a notification is pending. The eighth fails, with the backoff of a first
        // failure.
        assert!(is_pending(&mut job_loop).await);
        assert_eq!((job.runs(), log.count_lines("the disk is full")), (8, 7));
        clock.advance(Duration::from_secs(1));
        assert!(is_pending(&mut job_loop).await);
        assert_eq!(job.runs(), 9);
    }

    #[tokio::test]
    async fn a_loop_survives_a_job_that_panics() {
        let (platform, clock) = platform().await;
        let (stopping, log) = (CancellationToken::new(), Log::default());
        let _captured = log.capture();
        let job = Job::new(|run| match run {
            1 | 2 => panic!("intended by the test"),
            _ => Ok(None),
        });
        let mut job_loop =
            pin!(unconstrained(run_loop(&platform, &stopping, Trigger::Interval, || job.run())));
        for (seconds, runs) in [(0, 1), (1, 2), (1, 2), (1, 3), (1, 4)] {
            clock.advance(Duration::from_secs(seconds));
            assert!(is_pending(&mut job_loop).await);
            assert_eq!(job.runs(), runs);
        }
        assert_eq!(log.count_lines("a job in the background panicked"), 2);
    }

    #[tokio::test]
    async fn stopping_waits_for_the_current_run() {
        let (platform, _clock) = platform().await;
        let (stopping, proceed, done) =
            (CancellationToken::new(), Notify::new(), AtomicUsize::new(0));
        let job = || {
            async {
                proceed.notified().await;
                done.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            }
            .boxed()
        };
        let mut job_loop =
            pin!(unconstrained(run_loop(&platform, &stopping, Trigger::Interval, job)));
        assert!(is_pending(&mut job_loop).await);
        stopping.cancel();
        assert!(is_pending(&mut job_loop).await, "the job is running");
        proceed.notify_one();
        assert!(!is_pending(&mut job_loop).await);
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn stopping_ends_an_idle_loop_at_once() {
        let (platform, _clock) = platform().await;
        for result in [|| Ok(None), || Err(Error::internal("it backs off"))] {
            let (stopping, job) = (CancellationToken::new(), Job::new(|_| result()));
            let mut job_loop =
                pin!(
                    unconstrained(run_loop(&platform, &stopping, Trigger::Interval, || job.run()))
                );
            assert!(is_pending(&mut job_loop).await);
            stopping.cancel();
            assert!(!is_pending(&mut job_loop).await);
            assert_eq!(job.runs(), 1);
            run_loop(&platform, &stopping, Trigger::Interval, || job.run()).await;
            assert_eq!(job.runs(), 1, "a stopped loop starts no run");
        }
    }
}
