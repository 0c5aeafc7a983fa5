//! Counting attempts against a limit, in memory, for this instance.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Error;

/// How many keys one throttle remembers. Beyond it the windows that are over are swept, and if all are
/// running, all start anew: a flood of keys costs memory otherwise.
const MOST_KEYS: usize = 100_000;

/// So many attempts in a window that starts with the first of them.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Attempts in one window.
    pub attempts: u32,
    /// How long a window lasts.
    pub window: Duration,
}

/// Attempts counted by key.
#[derive(Debug)]
pub struct Throttle<K> {
    limit: Limit,
    windows: Mutex<HashMap<K, Window>>,
    settled: Notify,
}

#[derive(Debug)]
struct Window {
    /// By the uptime of the clock, which is never set back.
    ends: Duration,
    attempts: u32,
    /// Attempts whose outcome is unknown.
    reserved: u32,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// Nothing counted yet.
    pub fn new(limit: Limit) -> Self {
        Self { limit, windows: Mutex::new(HashMap::new()), settled: Notify::new() }
    }

    /// Counts one attempt, at an uptime of the clock.
    ///
    /// # Errors
    /// RATE_LIMITED until the window is over.
    pub fn attempt(&self, now: Duration, key: &K) -> Result<(), Error> {
        let mut windows = self.windows.lock();
        let window = self.window(&mut windows, now, key);
        if window.attempts >= self.limit.attempts {
            return Err(window.refusal(now));
        }
        window.attempts += 1;
        Ok(())
    }

    /// The key's window that is running.
    fn window<'w>(
        &self,
        windows: &'w mut HashMap<K, Window>,
        now: Duration,
        key: &K,
    ) -> &'w mut Window {
        if windows.len() >= MOST_KEYS && !windows.contains_key(key) {
            windows.retain(|_, window| window.ends > now);
            if windows.len() >= MOST_KEYS {
                windows.clear();
            }
        }
        let window =
            windows.entry(key.clone()).or_insert(Window { ends: now, attempts: 0, reserved: 0 });
        if window.ends <= now {
            window.ends = now + self.limit.window;
            window.attempts = 0;
        }
        window
    }

    /// Counts one attempt that is taken back unless it is kept. While those whose outcome is unknown fill
    /// the window it waits for them, so that good attempts are free however many come at once.
    ///
    /// # Errors
    /// RATE_LIMITED until the window is over.
    pub async fn reserve(&self, now: Duration, key: K) -> Result<Reserved<'_, K>, Error> {
        loop {
            let settled = self.settled.notified();
            if self.try_reserve(now, &key)? {
                return Ok(Reserved { throttle: self, key, is_kept: false });
            }
            settled.await;
        }
    }

    /// Whether there is room. False while it depends on attempts whose outcome is unknown.
    fn try_reserve(&self, now: Duration, key: &K) -> Result<bool, Error> {
        let mut windows = self.windows.lock();
        let window = self.window(&mut windows, now, key);
        if window.attempts >= self.limit.attempts {
            return Err(window.refusal(now));
        }
        let has_room = window.attempts + window.reserved < self.limit.attempts;
        window.reserved += u32::from(has_room);
        Ok(has_room)
    }
}

impl Window {
    fn refusal(&self, now: Duration) -> Error {
        Error::rate_limited(self.ends.saturating_sub(now))
    }
}

/// An attempt whose outcome is unknown still.
#[must_use = "it is taken back when it is dropped"]
pub struct Reserved<'t, K: Hash + Eq + Clone> {
    throttle: &'t Throttle<K>,
    key: K,
    is_kept: bool,
}

impl<K: Hash + Eq + Clone> Reserved<'_, K> {
    /// The attempt counts.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl<K: Hash + Eq + Clone> Drop for Reserved<'_, K> {
    fn drop(&mut self) {
        if let Some(window) = self.throttle.windows.lock().get_mut(&self.key) {
            window.reserved = window.reserved.saturating_sub(1);
            window.attempts += u32::from(self.is_kept);
        }
        self.throttle.settled.notify_waiters();
    }
}

/// What counts as one address: an IPv4 address, or the /64 network that an IPv6 client has for itself.
pub fn network_of(address: IpAddr) -> IpAddr {
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
    fn an_ipv6_client_is_its_network() {
        let network = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:3"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn a_window_counts_refuses_and_starts_anew() {
        let throttle = Throttle::new(Limit { attempts: 2, window: Duration::from_mins(1) });
        let start = Duration::ZERO;
        let second = Duration::from_secs;
        assert!(throttle.attempt(start, &"a").is_ok());
        assert!(throttle.attempt(second(10), &"a").is_ok());
        let refused = throttle.attempt(second(20), &"a").expect_err("the third");
        assert_eq!(refused.code(), ErrorCode::RateLimited);
        assert_eq!(refused.failures()[0].retry_after, Some(Duration::from_secs(40)));
        assert!(throttle.attempt(second(20), &"b").is_ok(), "another key has its own count");
        assert!(throttle.attempt(second(60), &"a").is_ok(), "the window is over");
    }

    #[tokio::test]
    async fn a_reserved_attempt_is_waited_for_and_counts_when_kept() {
        let throttle = Throttle::new(Limit { attempts: 1, window: Duration::from_mins(1) });
        let now = Duration::ZERO;
        let first = throttle.reserve(now, "a").await.expect("the first");
        let second = throttle.reserve(now, "a");
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending(), "it depends on the first");
        drop(first);
        second.await.expect("the first was good").keep();
        assert!(throttle.reserve(now, "a").await.is_err());
    }
}
