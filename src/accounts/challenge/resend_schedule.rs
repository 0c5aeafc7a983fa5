//! Resend schedule: how long a code is valid, and how long to wait before another one is sent.

use std::time::Duration;

use crate::accounts::entity::challenges::Model;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_ahead};

/// How long a code is valid.
pub const CODE_LIFETIME: Duration = Duration::from_mins(5);

/// The wait after the first code. It doubles with each code, up to the lifetime of a code.
const FIRST_RESEND_DELAY: Duration = Duration::from_secs(30);

const FIELD: &str = "challengeId";

/// When another code can be requested, after `send_count` codes were sent.
pub fn next_resend_at(now: Timestamp, send_count: i32) -> Timestamp {
    let factor = 2_u32.saturating_pow(send_count.unsigned_abs().saturating_sub(1));
    now + FIRST_RESEND_DELAY.saturating_mul(factor).min(CODE_LIFETIME)
}

/// The challenge as it is after another code was sent now.
pub fn resent(platform: &Platform, challenge: &Model) -> Model {
    let (now, send_count) = (platform.now(), challenge.send_count + 1);
    Model {
        send_count,
        expires_at: now + CODE_LIFETIME,
        resend_at: next_resend_at(now, send_count),
        ..challenge.clone()
    }
}

/// Checks that another code may be sent.
///
/// # Errors
/// RATE_LIMITED until `resend_at`; CODE_INVALID when the code was used, CODE_EXPIRED when it has expired.
pub fn ensure_resendable(challenge: &Model, now: Timestamp) -> Result<()> {
    if challenge.consumed_at.is_some() {
        let used = UserError::new(ErrorCode::CodeInvalid, "This code was used already.");
        return Err(used.for_field(FIELD).into());
    }
    if challenge.expires_at <= now {
        let expired =
            UserError::new(ErrorCode::CodeExpired, "The code's time is over. Begin anew.");
        return Err(expired.for_field(FIELD).into());
    }
    match resend_wait(challenge, now) {
        Some(wait) => Err(Error::rate_limited(wait)),
        None => Ok(()),
    }
}

/// How long to wait before another code may be sent; `None` when one may be sent now. After the clock was set back,
/// there is no wait for a code that was sent in the future.
pub fn resend_wait(challenge: &Model, now: Timestamp) -> Option<Duration> {
    // An operator's code is never resent: its `resend_at` is its expiry.
    let is_resendable = challenge.resend_at < challenge.expires_at;
    if is_resendable && is_ahead(now, challenge.expires_at - CODE_LIFETIME) {
        return None;
    }
    (challenge.resend_at - now).to_std().ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_previous_one_up_to_the_code_lifetime() {
        let start = Timestamp::UNIX_EPOCH;
        let wait = |send_count| (next_resend_at(start, send_count) - start).num_seconds();
        assert_eq!([1, 2, 3, 4].map(wait), [30, 60, 120, 240]);
        assert_eq!([5, 100, i32::MAX].map(wait), [300; 3]);
    }
}
