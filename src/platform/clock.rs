//! The clock for all times, expiries and timers, which tests replace with a manual one.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Timelike, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A point in time in whole microseconds, the precision of both databases.
pub type Timestamp = DateTime<Utc>;

/// Maximum difference between the clocks of instances. A time further ahead was written before the clock was set back.
pub const MAX_SKEW: Duration = Duration::from_secs(15);

/// Whether a wait until `until` continues, given that such a wait never lasts longer than `max_wait`. A longer one
/// started before the clock was set back, and has ended.
pub fn is_waiting(now: Timestamp, until: Timestamp, max_wait: Duration) -> bool {
    now < until && until <= now + max_wait + MAX_SKEW
}

/// Whether a past event lies in the future, because the clock was set back since.
pub fn is_ahead(now: Timestamp, happened_at: Timestamp) -> bool {
    happened_at > now + MAX_SKEW
}

/// Parses a time of RFC 3339, whose years have four digits. A leap second is the first moment of the next minute, as no
/// clock counts it.
pub fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok().filter(|_| !text.starts_with(['+', '-']))?;
    match time.nanosecond().checked_sub(1_000_000_000) {
        Some(nanosecond) => {
            time.with_nanosecond(nanosecond)?.checked_add_signed(TimeDelta::seconds(1))
        }
        None => Some(time),
    }
}

/// A source of time.
pub trait Clock: Send + Sync {
    /// The current time in whole microseconds. It may be set back or forward.
    fn now(&self) -> Timestamp;

    /// Monotonic time since an arbitrary start: for waits that are kept in memory.
    fn uptime(&self) -> Duration;

    /// Sleeps for the time that remains until `at`, even if the clock is set meanwhile.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

/// The clock of the operating system.
#[derive(Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now(&self) -> Timestamp {
        truncate_to_microseconds(Utc::now())
    }

    fn uptime(&self) -> Duration {
        ORIGIN.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that sleeps by the system's clock"
    )]
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let wait = (at - self.now()).to_std().unwrap_or(Duration::ZERO);
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that moves only by its methods, for tests. Clones move together.
#[derive(Clone, Debug)]
pub struct ManualClock(watch::Sender<ClockState>);

#[derive(Clone, Copy, Debug)]
struct ClockState {
    now: Timestamp,
    uptime: Duration,
}

impl ManualClock {
    /// Creates a clock that shows `start`.
    pub fn at(start: Timestamp) -> Self {
        let now = truncate_to_microseconds(start);
        Self(watch::Sender::new(ClockState { now, uptime: Duration::ZERO }))
    }

    /// Lets time pass, and wakes sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|state| {
            state.now += by;
            state.uptime += by;
        });
    }

    /// Number of sleeps that have not ended.
    pub fn sleepers(&self) -> usize {
        self.0.receiver_count()
    }

    /// Sets the clock back, without letting time pass.
    pub fn set_back(&self, by: Duration) {
        self.0.send_modify(|state| state.now -= by);
    }

    /// Sets the clock forward, without letting time pass.
    pub fn set_forward(&self, by: Duration) {
        self.0.send_modify(|state| state.now += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    fn uptime(&self) -> Duration {
        self.0.borrow().uptime
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut changes = self.0.subscribe();
        let ClockState { now, uptime } = *changes.borrow();
        let until = uptime + (at - now).to_std().unwrap_or(Duration::ZERO);
        Box::pin(async move {
            if changes.wait_for(|state| state.uptime >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

fn truncate_to_microseconds(time: Timestamp) -> Timestamp {
    time.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_wait_ends_on_time_or_when_the_clock_was_set_back() {
        let now = DateTime::UNIX_EPOCH + HOUR;
        for (until, expected) in [
            (now - MINUTE, false),
            (now, false),
            (now + MINUTE, true),
            (now + MINUTE + MAX_SKEW, true),
            (now + MINUTE + MAX_SKEW * 2, false),
            (now + HOUR, false),
        ] {
            assert_eq!(is_waiting(now, until, MINUTE), expected, "{until}");
        }
        assert!(is_ahead(now, now + HOUR) && !is_ahead(now, now + MAX_SKEW));
    }

    #[test]
    fn times_have_years_of_four_digits_and_no_leap_seconds() {
        for (text, expected) in [
            ("2026-11-30T20:59:59.5+01:00", Some("2026-11-30T19:59:59.500Z")),
            ("2026-11-30T20:59:60Z", Some("2026-11-30T21:00:00Z")),
            ("2016-12-31T23:59:60.25Z", Some("2017-01-01T00:00:00.250Z")),
            ("+262142-12-31T00:00:00Z", None),
            ("-0001-01-01T00:00:00Z", None),
            ("2026-11-30", None),
        ] {
            let parsed = parse_timestamp(text);
            let shown =
                parsed.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_sleep_keeps_its_length_when_the_clock_is_set() {
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
