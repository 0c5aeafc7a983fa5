//! Exponential backoff with full jitter.

use std::time::Duration;

use crate::platform::Platform;

/// Delays between retries: a random time up to a limit that doubles with each failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Longest delay after the first failure.
    pub initial: Duration,
    /// Longest delay after any number of failures.
    pub max: Duration,
}

impl Backoff {
    /// The longest delay after this many failures, at least one.
    pub fn max_delay(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.initial.saturating_mul(factor).min(self.max)
    }

    /// A random delay after this many failures.
    pub fn delay(&self, failures: u32, platform: &Platform) -> Duration {
        let share = f64::from(u32::from_be_bytes(platform.random())) / f64::from(u32::MAX);
        let micros = self.max_delay(failures).mul_f64(share).as_micros();
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let backoff = Backoff { initial: Duration::from_secs(2), max: Duration::from_mins(1) };
        let delays: Vec<u64> =
            (1..8).map(|failures| backoff.max_delay(failures).as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.max_delay(u32::MAX).as_secs(), 60);
    }
}
