//! Which calls are repeated, and when.

use std::time::Duration;

use reqwest::{Method, StatusCode};

/// Maximum number of attempts.
const MAX_ATTEMPTS: u32 = 3;
/// A longer `Retry-After` is for the caller to wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Wait before the second attempt. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Which calls are repeated: those that do the same when they arrive twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRules {
    is_repeatable: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The provider answered.
    Answered {
        /// With this status.
        status: StatusCode,
        /// And this `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// There was no connection, so the provider received nothing.
    NotConnected,
    /// The connection broke off before an answer. The provider may have received the call.
    ConnectionLost,
    /// Any other end: no time is left, the answer is too large, or the call is not allowed.
    Final,
}

impl RetryRules {
    /// The rules for a call. An idempotency key makes a call repeatable only where the provider knows such keys.
    pub fn new(method: &Method, has_idempotency_key: bool, provider_knows_keys: bool) -> Self {
        let is_idempotent =
            [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE]
                .contains(method);
        Self { is_repeatable: is_idempotent || (has_idempotency_key && provider_knows_keys) }
    }

    /// How long to wait before the next attempt. `None` if there is none: the last outcome is the result.
    /// `attempts` were made, `time_left` is what remains of the call's time, and `jitter`, from 0 to 1, spreads the
    /// attempts of many callers.
    pub fn wait_before_next(
        self,
        attempts: u32,
        outcome: AttemptOutcome,
        time_left: Duration,
        jitter: f64,
    ) -> Option<Duration> {
        if attempts >= MAX_ATTEMPTS {
            return None;
        }
        let backoff = FIRST_WAIT * 2_u32.pow(attempts.saturating_sub(1));
        let backoff = backoff.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0);
        let wait = match outcome {
            AttemptOutcome::NotConnected => backoff,
            AttemptOutcome::ConnectionLost if self.is_repeatable => backoff,
            AttemptOutcome::Answered { status, retry_after }
                if self.is_repeatable && is_passing(status) =>
            {
                match retry_after {
                    Some(wait) if wait > MAX_RETRY_AFTER => return None,
                    Some(wait) => wait.max(backoff),
                    None => backoff,
                }
            }
            _ => return None,
        };
        (wait < time_left).then_some(wait)
    }
}

/// Whether a status says that the same call may succeed soon.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const SAFE: RetryRules = RetryRules { is_repeatable: true };
    const UNSAFE: RetryRules = RetryRules { is_repeatable: false };

    fn answered(status: u16, retry_after: Option<u64>) -> AttemptOutcome {
        let status = StatusCode::from_u16(status).expect("a status");
        AttemptOutcome::Answered { status, retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn idempotent_methods_and_known_keys_are_repeatable() {
        for (method, has_key, knows_keys, expected) in [
            (Method::GET, false, false, SAFE),
            (Method::HEAD, false, false, SAFE),
            (Method::OPTIONS, false, false, SAFE),
            (Method::PUT, false, false, SAFE),
            (Method::DELETE, false, false, SAFE),
            (Method::POST, false, true, UNSAFE),
            (Method::POST, true, false, UNSAFE),
            (Method::POST, true, true, SAFE),
            (Method::PATCH, false, false, UNSAFE),
            (Method::PATCH, true, true, SAFE),
        ] {
            assert_eq!(RetryRules::new(&method, has_key, knows_keys), expected, "{method}");
        }
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        let wait = |rules: RetryRules, outcome| {
            rules.wait_before_next(1, outcome, MINUTE, 0.0).map(|wait| wait.as_millis())
        };
        for status in [429, 502, 503, 504] {
            assert_eq!(wait(SAFE, answered(status, None)), Some(250), "{status}");
            assert_eq!(wait(UNSAFE, answered(status, None)), None, "{status}");
        }
        for status in [200, 301, 400, 401, 404, 408, 409, 500, 501] {
            assert_eq!(wait(SAFE, answered(status, Some(1))), None, "{status}");
        }
        assert_eq!(wait(SAFE, AttemptOutcome::ConnectionLost), Some(250));
        assert_eq!(wait(UNSAFE, AttemptOutcome::ConnectionLost), None);
        assert_eq!(wait(UNSAFE, AttemptOutcome::NotConnected), Some(250));
        assert_eq!(wait(SAFE, AttemptOutcome::Final), None);
    }

    #[test]
    fn a_short_retry_after_is_waited_for_and_a_long_one_is_not() {
        let wait = |seconds| SAFE.wait_before_next(1, answered(429, Some(seconds)), MINUTE, 0.0);
        assert_eq!(wait(0), Some(FIRST_WAIT));
        assert_eq!(wait(5), Some(Duration::from_secs(5)));
        assert_eq!(wait(6), None);
    }

    #[test]
    fn attempts_and_time_are_limited() {
        let wait = |attempts, time_left, jitter| {
            SAFE.wait_before_next(attempts, AttemptOutcome::ConnectionLost, time_left, jitter)
        };
        assert_eq!(wait(2, MINUTE, 0.0), Some(FIRST_WAIT * 2));
        assert_eq!(wait(2, MINUTE, 1.0), Some(FIRST_WAIT * 3));
        assert_eq!(wait(3, MINUTE, 0.0), None);
        assert_eq!(wait(u32::MAX, MINUTE, 0.0), None);
        assert_eq!(wait(1, FIRST_WAIT, 0.0), None);
        assert_eq!(wait(1, Duration::ZERO, 0.0), None);
    }

    proptest! {
        #[test]
        fn all_waits_together_fit_into_the_time(
            status in proptest::sample::select(vec![429_u16, 502, 503, 504]),
            retry_after in proptest::option::of(0_u64..8),
            time in 0_u64..20,
            jitter in any::<f64>(),
        ) {
            let mut left = Duration::from_secs(time);
            let mut attempts = 1;
            while let Some(wait) = SAFE.wait_before_next(attempts, answered(status, retry_after), left, jitter) {
                prop_assert!(wait < left);
                left -= wait;
                attempts += 1;
            }
            prop_assert!(attempts <= MAX_ATTEMPTS);
        }
    }
}
