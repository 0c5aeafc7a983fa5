//! The one clock: tokens, codes, limits, queues and timers all read it, so that a test can move it.

use std::sync::LazyLock;
use std::time::{Duration, Instant as Monotonic};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A moment, in whole microseconds: what both databases keep exactly.
pub type Instant = DateTime<Utc>;

/// How far the clocks of instances may be apart. What is further ahead than that was written before the clock was
/// set back.
pub const MAX_SKEW: Duration = Duration::from_secs(15);

/// Whether a wait for a moment goes on, when no such wait lasts longer than `longest`. One that would began before
/// the clock was set back, and is over.
pub fn is_waiting(now: Instant, until: Instant, longest: Duration) -> bool {
    now < until && until <= now + longest + MAX_SKEW
}

/// Whether something that has happened lies ahead: the clock was set back since.
pub fn is_ahead(now: Instant, happened_at: Instant) -> bool {
    happened_at > now + MAX_SKEW
}

/// What time it is.
pub trait Clock: Send + Sync {
    /// Now, in whole microseconds. It may be set back or forward.
    fn now(&self) -> Instant;

    /// The time that has passed since some moment before, which is never set: for waits that are remembered in
    /// memory.
    fn uptime(&self) -> Duration;

    /// Ends when as much time has passed as there is until `at`, also when the clock is set meanwhile.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
}

/// The system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
static ORIGIN: LazyLock<Monotonic> = LazyLock::new(Monotonic::now);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Instant {
        whole_microseconds(Utc::now())
    }

    fn uptime(&self) -> Duration {
        ORIGIN.elapsed()
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
pub struct ManualClock(watch::Sender<Moment>);

#[derive(Clone, Copy, Debug)]
struct Moment {
    now: Instant,
    uptime: Duration,
}

impl ManualClock {
    /// Stands at `start`.
    pub fn at(start: Instant) -> Self {
        let now = whole_microseconds(start);
        Self(watch::Sender::new(Moment { now, uptime: Duration::ZERO }))
    }

    /// Lets time pass, and wakes whoever slept until then.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|moment| {
            moment.now += by;
            moment.uptime += by;
        });
    }

    /// Sets the clock back. No time passes.
    pub fn set_back(&self, by: Duration) {
        self.0.send_modify(|moment| moment.now -= by);
    }

    /// Sets the clock forward. No time passes.
    pub fn set_forward(&self, by: Duration) {
        self.0.send_modify(|moment| moment.now += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.0.borrow().now
    }

    fn uptime(&self) -> Duration {
        self.0.borrow().uptime
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        let mut moved = self.0.subscribe();
        let Moment { now, uptime } = *moved.borrow();
        let until = uptime + (at - now).to_std().unwrap_or(Duration::ZERO);
        Box::pin(async move {
            if moved.wait_for(|moment| moment.uptime >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

fn whole_microseconds(time: Instant) -> Instant {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_wait_is_over_at_its_end_and_when_the_clock_was_set_back() {
        let now = DateTime::UNIX_EPOCH + HOUR;
        for (until, waits) in [
            (now - MINUTE, false),
            (now, false),
            (now + MINUTE, true),
            (now + MINUTE + MAX_SKEW, true),
            (now + MINUTE + MAX_SKEW * 2, false),
            (now + HOUR, false),
        ] {
            assert_eq!(is_waiting(now, until, MINUTE), waits, "{until}");
        }
        assert!(is_ahead(now, now + HOUR) && !is_ahead(now, now + MAX_SKEW));
    }

    #[test]
    fn a_sleep_lasts_as_long_however_the_clock_is_set() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + HOUR);
        for set in [ManualClock::set_back, ManualClock::set_forward] {
            let mut sleep = clock.sleep_until(clock.now() + MINUTE);
            set(&clock, HOUR);
            clock.advance(Duration::from_secs(59));
            assert!((&mut sleep).now_or_never().is_none());
            clock.advance(Duration::from_secs(1));
            assert!(sleep.now_or_never().is_some());
        }
    }
}
