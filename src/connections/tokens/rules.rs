//! When access tokens are renewed.

use std::time::Duration;

use crate::platform::clock::{Timestamp, is_waiting};
use crate::platform::jobs::Backoff;

/// How often due tokens are looked for.
pub const ROUND_INTERVAL: Duration = Duration::from_mins(15);
/// How long a token must still be valid at the next round.
const DUE_MARGIN: Duration = Duration::from_mins(5);
/// A provider that refuses a token that is younger has another reason, such as a missing scope.
const MIN_TOKEN_AGE: Duration = Duration::from_secs(10);
/// A token with less time left may expire on its way to the provider.
const USE_MARGIN: Duration = Duration::from_secs(10);

/// The delays between attempts while a token endpoint fails.
pub const BACKOFF: Backoff =
    Backoff { initial: Duration::from_secs(10), max: Duration::from_mins(15) };

/// Tokens that expire before this are due in a round.
pub fn due_horizon(now: Timestamp) -> Timestamp {
    now + ROUND_INTERVAL + DUE_MARGIN
}

/// Whether a call needs a new token first. One of unknown expiry is used until the provider refuses it.
pub fn must_renew_before_use(
    has_token: bool,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    !has_token || is_expired(expires_at, now + USE_MARGIN)
}

/// Whether a token has certainly expired.
pub fn is_expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

/// Whether a token is so new that another one would be refused as well.
pub fn was_just_renewed(last_refreshed_at: Option<Timestamp>, now: Timestamp) -> bool {
    last_refreshed_at.is_some_and(|at| (at..at + MIN_TOKEN_AGE).contains(&now))
}

/// How long the next attempt still has to wait after a failure.
pub fn backoff_left(next_refresh_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let at = next_refresh_at.filter(|at| is_waiting(now, *at, BACKOFF.max))?;
    (at - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_token_is_renewed_shortly_before_it_expires() {
        let now = DateTime::UNIX_EPOCH + Duration::from_hours(1);
        for (has_token, expires_at, expected) in [
            (true, None, false),
            (true, Some(now + SECOND * 11), false),
            (true, Some(now + SECOND * 10), true),
            (true, Some(now - SECOND), true),
            (false, None, true),
            (false, Some(now + SECOND * 60), true),
        ] {
            assert_eq!(must_renew_before_use(has_token, expires_at, now), expected);
        }
        assert_eq!(due_horizon(now) - now, chrono::TimeDelta::minutes(20));
        assert!(is_expired(Some(now), now) && !is_expired(Some(now + SECOND), now));
    }

    #[test]
    fn a_token_is_not_renewed_again_at_once() {
        let now = DateTime::UNIX_EPOCH + Duration::from_hours(1);
        for (renewed_at, expected) in [
            (None, false),
            (Some(now), true),
            (Some(now - SECOND * 9), true),
            (Some(now - SECOND * 10), false),
            (Some(now + SECOND), false),
        ] {
            assert_eq!(was_just_renewed(renewed_at, now), expected, "{renewed_at:?}");
        }
    }

    #[test]
    fn a_back_off_ends_on_time_or_when_the_clock_was_set_back() {
        let now = DateTime::UNIX_EPOCH + Duration::from_hours(1);
        for (next, expected) in [
            (None, None),
            (Some(now), None),
            (Some(now + SECOND * 7), Some(SECOND * 7)),
            (Some(now + BACKOFF.max * 2), None),
        ] {
            assert_eq!(backoff_left(next, now), expected);
        }
    }
}
