//! Rate limits of codes: how many are sent per number, number prefix, account, address and day, and how many attempts
//! an account has. They are counted in the database, so that all instances share them.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::rate_limits::CodeRateLimits;
use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::{PhoneKey, PhoneNumber};
use crate::platform::rate_limiter::{RateLimit, rate_limit_network};
use crate::platform::shared_rate_limit::SharedRateLimit;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The number of last digits that a number prefix omits.
const PREFIX_OMITTED_DIGITS: usize = 4;
/// Failed attempts to enter a code. Not scaled by LIMITS_SCALE: a load test must not make codes guessable.
const ATTEMPT_LIMIT: RateLimit = RateLimit { max_attempts: 5, window: HOUR };

/// The rate limits of codes and security notices.
pub struct CodeRateLimiter {
    per_number: SharedRateLimit,
    per_prefix: SharedRateLimit,
    per_account: SharedRateLimit,
    per_address: SharedRateLimit,
    per_day: SharedRateLimit,
    /// Requests for a code for a forgotten password, per identifier.
    pub resets_per_identifier: SharedRateLimit,
    resets_per_number: SharedRateLimit,
    resets_per_account: SharedRateLimit,
    /// Security notices, per number and kind.
    pub notices_per_number: SharedRateLimit,
    /// Failed attempts at the codes of an account.
    pub attempts_per_account: SharedRateLimit,
    /// Failed attempts at codes for a forgotten password, per identifier.
    pub reset_attempts_per_identifier: SharedRateLimit,
    /// Failed attempts at codes for a forgotten password, per account that an identifier names.
    pub reset_attempts_per_account: SharedRateLimit,
}

impl CodeRateLimiter {
    pub fn new(limits: &CodeRateLimits) -> Self {
        let limit = |name, max_attempts, window| SharedRateLimit {
            name,
            limit: RateLimit { max_attempts, window },
        };
        // Anyone can request codes for a forgotten password: these must not use up the codes that the owner needs.
        let max_resets = (limits.per_number * 3).div_ceil(5);
        let attempt_limit = |name| SharedRateLimit { name, limit: ATTEMPT_LIMIT };
        Self {
            per_number: limit("codes.number", limits.per_number, HOUR),
            per_prefix: limit("codes.prefix", limits.per_prefix, HOUR),
            per_account: limit("codes.account", limits.per_account, DAY),
            per_address: limit("codes.address", limits.per_address, HOUR),
            per_day: limit("codes.day", limits.per_day, DAY),
            resets_per_identifier: limit("resets.identifier", max_resets, HOUR),
            resets_per_number: limit("resets.number", max_resets, HOUR),
            resets_per_account: limit("resets.account", limits.per_account.div_ceil(2), DAY),
            notices_per_number: limit("notices.number", limits.per_number, HOUR),
            attempts_per_account: attempt_limit("attempts.account"),
            reset_attempts_per_identifier: attempt_limit("attempts.reset.identifier"),
            reset_attempts_per_account: attempt_limit("attempts.reset.account"),
        }
    }

    /// Acquires the permission to send one code to a number, for an account.
    ///
    /// # Errors
    /// RATE_LIMITED; the transaction must then be rolled back.
    pub async fn acquire(
        &self,
        platform: &Platform,
        tx: &Work,
        phone: &PhoneNumber,
        user: UserId,
    ) -> Result<()> {
        let phone = phone.key();
        self.per_number.acquire(tx, platform, phone.as_str().as_bytes()).await?;
        self.per_account.acquire(tx, platform, user.uuid().as_bytes()).await?;
        self.per_prefix.acquire(tx, platform, number_prefix(&phone).as_bytes()).await?;
        // Last, because all requests share this row and wait for its lock.
        self.per_day.acquire(tx, platform, b"").await
    }

    /// Acquires the permission to send one code for a forgotten password, which anyone can request.
    ///
    /// # Errors
    /// RATE_LIMITED; the transaction must then be rolled back.
    pub async fn acquire_for_reset(
        &self,
        platform: &Platform,
        tx: &Work,
        phone: &PhoneNumber,
        user: UserId,
    ) -> Result<()> {
        let phone_key = phone.key();
        self.resets_per_number.acquire(tx, platform, phone_key.as_str().as_bytes()).await?;
        self.resets_per_account.acquire(tx, platform, user.uuid().as_bytes()).await?;
        self.acquire(platform, tx, phone, user).await
    }

    /// Acquires the permission to send one code for a client's address.
    ///
    /// # Errors
    /// RATE_LIMITED; the transaction must then be rolled back.
    pub async fn acquire_for_address(
        &self,
        platform: &Platform,
        tx: &Work,
        address: IpAddr,
    ) -> Result<()> {
        let network = rate_limit_network(address).to_string();
        self.per_address.acquire(tx, platform, network.as_bytes()).await
    }

    /// Counts a code that is sent even above the limits, because the user has just entered another one.
    pub async fn force_acquire(
        &self,
        platform: &Platform,
        tx: &Work,
        phone: &PhoneNumber,
        user: UserId,
    ) -> Result<()> {
        let phone = phone.key();
        self.per_number.force_acquire(tx, platform, phone.as_str().as_bytes()).await?;
        self.per_account.force_acquire(tx, platform, user.uuid().as_bytes()).await?;
        self.per_prefix.force_acquire(tx, platform, number_prefix(&phone).as_bytes()).await?;
        self.per_day.force_acquire(tx, platform, b"").await
    }
}

/// The number without its last digits.
fn number_prefix(phone: &PhoneKey) -> &str {
    let number = phone.as_str();
    &number[..number.len().saturating_sub(PREFIX_OMITTED_DIGITS)]
}
