//! The one clock: tokens, codes, limits, queues and timers all read it, so that a test can move it.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A moment, in whole microseconds: what both databases keep exactly.
pub type Instant = DateTime<Utc>;

/// What time it is.
pub trait Clock: Send + Sync {
    /// Now, in whole microseconds.
    fn now(&self) -> Instant;

    /// Ends when the clock has reached `at`.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
}

/// The system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Instant {
        whole_microseconds(Utc::now())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that sleeps by the system's clock"
    )]
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let wait = (at - self.now()).to_std().unwrap_or(Duration::ZERO);
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that stands still until it is moved. Clones move together.
#[derive(Clone, Debug)]
pub struct ManualClock(watch::Sender<Instant>);

impl ManualClock {
    /// Stands at `start`.
    pub fn at(start: Instant) -> Self {
        Self(watch::Sender::new(whole_microseconds(start)))
    }

    /// Moves forward and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        *self.0.borrow()
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let mut moved = self.0.subscribe();
        Box::pin(async move {
            if moved.wait_for(|now| *now >= at).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

fn whole_microseconds(time: Instant) -> Instant {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}
