//! Rate limiter: counts attempts per key in fixed windows, in the memory of this instance.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Error;

/// How many keys a limiter holds at most, to limit memory during a flood of keys. Above that, ended windows are
/// removed, or all windows if none has ended.
const MAX_KEYS: usize = 100_000;

/// A number of attempts per window. A window starts with its first attempt.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// Attempts per window.
    pub max_attempts: u32,
    /// Length of a window.
    pub window: Duration,
}

/// Counts attempts by key.
#[derive(Debug)]
pub struct RateLimiter<K> {
    limit: RateLimit,
    windows: Mutex<HashMap<K, Window>>,
    reservation_ended: Notify,
}

#[derive(Debug)]
struct Window {
    /// By the clock's uptime, which is never set back.
    ends_at: Duration,
    attempts: u32,
    /// Attempts whose outcome is not known yet.
    reserved: u32,
}

impl<K: Hash + Eq + Clone> RateLimiter<K> {
    /// A limiter without attempts.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, windows: Mutex::new(HashMap::new()), reservation_ended: Notify::new() }
    }

    /// Counts one attempt. `now` is the clock's uptime.
    ///
    /// # Errors
    /// RATE_LIMITED if the limit is reached.
    pub fn acquire(&self, now: Duration, key: &K) -> Result<(), Error> {
        let mut windows = self.windows.lock();
        let window = self.window(&mut windows, now, key);
        if window.attempts >= self.limit.max_attempts {
            return Err(window.rate_limited(now));
        }
        window.attempts += 1;
        Ok(())
    }

    /// Checks that the limit is not reached, without counting an attempt. Concurrent attempts may pass together.
    ///
    /// # Errors
    /// RATE_LIMITED if the limit is reached.
    pub fn check(&self, now: Duration, key: &K) -> Result<(), Error> {
        let windows = self.windows.lock();
        let window = windows.get(key).filter(|window| window.ends_at > now);
        match window {
            Some(window) if window.attempts >= self.limit.max_attempts => {
                Err(window.rate_limited(now))
            }
            None if self.limit.max_attempts == 0 => Err(Error::rate_limited(self.limit.window)),
            _ => Ok(()),
        }
    }

    /// Counts one attempt, also beyond the limit.
    pub fn record(&self, now: Duration, key: &K) {
        let mut windows = self.windows.lock();
        let window = self.window(&mut windows, now, key);
        window.attempts = window.attempts.saturating_add(1);
    }

    /// The key's current window.
    fn window<'w>(
        &self,
        windows: &'w mut HashMap<K, Window>,
        now: Duration,
        key: &K,
    ) -> &'w mut Window {
        if windows.len() >= MAX_KEYS && !windows.contains_key(key) {
            windows.retain(|_, window| window.ends_at > now);
            if windows.len() >= MAX_KEYS {
                windows.clear();
            }
        }
        let window =
            windows.entry(key.clone()).or_insert(Window { ends_at: now, attempts: 0, reserved: 0 });
        if window.ends_at <= now {
            window.ends_at = now + self.limit.window;
            window.attempts = 0;
        }
        window
    }

    /// Reserves one attempt, which only counts if it is committed. While reservations fill the window, it waits for
    /// their outcome, so that concurrent attempts that are not counted in the end never limit each other.
    ///
    /// # Errors
    /// RATE_LIMITED if the limit is reached.
    pub async fn reserve(&self, now: Duration, key: K) -> Result<Reservation<'_, K>, Error> {
        loop {
            let reservation_ended = self.reservation_ended.notified();
            if self.try_reserve(now, &key)? {
                return Ok(Reservation { limiter: self, key, is_committed: false });
            }
            reservation_ended.await;
        }
    }

    /// Returns false while the result depends on other reservations.
    fn try_reserve(&self, now: Duration, key: &K) -> Result<bool, Error> {
        let mut windows = self.windows.lock();
        let window = self.window(&mut windows, now, key);
        if window.attempts >= self.limit.max_attempts {
            return Err(window.rate_limited(now));
        }
        let is_reserved = window.attempts + window.reserved < self.limit.max_attempts;
        window.reserved += u32::from(is_reserved);
        Ok(is_reserved)
    }
}

impl Window {
    fn rate_limited(&self, now: Duration) -> Error {
        Error::rate_limited(self.ends_at.saturating_sub(now))
    }
}

/// A reserved attempt. Dropped without a commit, it does not count.
#[must_use = "dropping it releases the reservation"]
pub struct Reservation<'l, K: Hash + Eq + Clone> {
    limiter: &'l RateLimiter<K>,
    key: K,
    is_committed: bool,
}

impl<K: Hash + Eq + Clone> Reservation<'_, K> {
    /// Counts the attempt.
    pub fn commit(mut self) {
        self.is_committed = true;
    }
}

impl<K: Hash + Eq + Clone> Drop for Reservation<'_, K> {
    fn drop(&mut self) {
        if let Some(window) = self.limiter.windows.lock().get_mut(&self.key) {
            window.reserved = window.reserved.saturating_sub(1);
            window.attempts += u32::from(self.is_committed);
        }
        self.limiter.reservation_ended.notify_waiters();
    }
}

/// The key by which a client address is limited: an IPv4 address, or the /64 network of an IPv6 client.
pub fn rate_limit_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn ipv6_clients_are_limited_by_network() {
        let network = |text: &str| rate_limit_network(text.parse().expect("an address"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn attempts_are_limited_per_key_and_window() {
        let limiter =
            RateLimiter::new(RateLimit { max_attempts: 2, window: Duration::from_mins(1) });
        let start = Duration::ZERO;
        let second = Duration::from_secs;
        assert!(limiter.acquire(start, &"a").is_ok());
        assert!(limiter.acquire(second(10), &"a").is_ok());
        let error = limiter.acquire(second(20), &"a").expect_err("the third");
        assert_eq!(error.code(), ErrorCode::RateLimited);
        assert_eq!(error.user_errors()[0].retry_after, Some(Duration::from_secs(40)));
        assert!(limiter.acquire(second(20), &"b").is_ok(), "each key has its own count");
        assert!(limiter.acquire(second(60), &"a").is_ok(), "the window has ended");
    }

    #[tokio::test]
    async fn reservations_are_awaited_and_count_when_committed() {
        let limiter =
            RateLimiter::new(RateLimit { max_attempts: 1, window: Duration::from_mins(1) });
        let now = Duration::ZERO;
        let first = limiter.reserve(now, "a").await.expect("the first");
        let second = limiter.reserve(now, "a");
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending(), "it waits for the first");
        drop(first);
        second.await.expect("the first does not count").commit();
        assert!(limiter.reserve(now, "a").await.is_err());
    }
}
