//! Phone lookup with a cache, single flight and a rate limit per user.
//!
//! Results are stored per number, so that a paid request is made once for all users. Concurrent lookups of a
//! number share one request. If the provider fails, nothing is stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use super::entity::{self, Model};
use super::messagebird::MessageBirdLookup;
use super::offline::OfflineLookup;
use super::provider::{LookupError, LookupProvider};
use super::twilio::TwilioLookup;
use crate::config::{Config, LookupSource};
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::clock::{Timestamp, is_waiting};
use crate::platform::phone::{PhoneNumber, Region};
use crate::platform::rate_limiter::{RateLimit, RateLimiter};

/// Time to live of a valid result.
const VALID_TTL: Duration = Duration::from_hours(30 * 24);
/// Time to live of an invalid result. Short, because the number may come into use.
const INVALID_TTL: Duration = Duration::from_hours(24);
const RATE_LIMIT_WINDOW: Duration = Duration::from_hours(1);

type SharedLookup = Shared<BoxFuture<'static, Result<Model>>>;

/// The provider fails: no lookup has succeeded since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupFailure {
    /// When the first of these lookups failed.
    pub since: Timestamp,
    /// Whether the provider refuses this installation: its credentials are wrong, or its account is empty.
    pub is_refusal: bool,
}

/// Cached access to the configured lookup provider.
pub struct CachedLookup {
    platform: Arc<Platform>,
    provider: Arc<dyn LookupProvider>,
    in_flight: Arc<Mutex<HashMap<PhoneNumber, SharedLookup>>>,
    /// Since when the provider fails, as far as this instance knows.
    failure: Arc<Mutex<Option<LookupFailure>>>,
    refused_line_types: Vec<String>,
    default_region: Option<Region>,
    rate_limiter: RateLimiter<UserId>,
}

impl CachedLookup {
    /// Creates the cache with the configured provider.
    pub fn new(platform: Arc<Platform>, config: &Config) -> Self {
        let provider: Arc<dyn LookupProvider> = match &config.lookup {
            LookupSource::Offline => Arc::new(OfflineLookup),
            LookupSource::MessageBird { access_key, base_url } => Arc::new(MessageBirdLookup {
                access_key: access_key.clone(),
                base_url: base_url.clone(),
            }),
            LookupSource::Twilio { account_sid, auth_token, base_url } => Arc::new(TwilioLookup {
                account_sid: account_sid.clone(),
                auth_token: auth_token.clone(),
                base_url: base_url.clone(),
            }),
        };
        Self {
            platform,
            provider,
            in_flight: Arc::default(),
            failure: Arc::default(),
            refused_line_types: config.refused_line_types.clone(),
            default_region: config.default_region.map(Region::from),
            rate_limiter: RateLimiter::new(RateLimit {
                max_attempts: config.rate_limits.lookups,
                window: RATE_LIMIT_WINDOW,
            }),
        }
    }

    /// Region of numbers that are written without a country code.
    pub fn default_region(&self) -> Option<&Region> {
        self.default_region.as_ref()
    }

    /// The provider's name, and its failure, if its last lookup by this instance failed.
    pub fn provider_state(&self) -> (&'static str, Option<LookupFailure>) {
        (self.provider.name(), *self.failure.lock())
    }

    /// Checks that a number exists and its type of line is accepted. Stores the lookup.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER on `phone`; LOOKUP_UNAVAILABLE; RATE_LIMITED after too many lookups by one user.
    pub async fn ensure_callable(&self, user: UserId, phone: &PhoneNumber) -> Result<()> {
        let lookup = match find_cached(&self.platform, &*self.provider, phone).await? {
            Some(lookup) => lookup,
            None => {
                self.rate_limiter.acquire(self.platform.uptime(), &user)?;
                self.look_up_shared(phone).await?
            }
        };
        match lookup.invalid_reason(&self.refused_line_types) {
            Some(reason) => Err(UserError::from(reason).for_field("phone").into()),
            None => Ok(()),
        }
    }

    /// Joins the running lookup of this number, or starts one.
    async fn look_up_shared(&self, phone: &PhoneNumber) -> Result<Model> {
        let lookup = {
            let mut in_flight = self.in_flight.lock();
            in_flight
                .entry(phone.clone())
                .or_insert_with(|| self.start_lookup(phone.clone()))
                .clone()
        };
        lookup.await
    }

    /// Starts a lookup on a task of its own, so that it continues if its first caller is cancelled.
    fn start_lookup(&self, phone: PhoneNumber) -> SharedLookup {
        let (platform, provider) = (self.platform.clone(), self.provider.clone());
        let guard = InFlightGuard { in_flight: self.in_flight.clone(), phone };
        let failure = self.failure.clone();
        let task = tokio::spawn(async move {
            look_up_and_save(&platform, &*provider, &failure, &guard.phone).await
        });
        async move { task.await.map_err(Error::internal)? }.boxed().shared()
    }
}

/// Removes the entry of a running lookup when the lookup ends or panics.
struct InFlightGuard {
    in_flight: Arc<Mutex<HashMap<PhoneNumber, SharedLookup>>>,
    phone: PhoneNumber,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.phone);
    }
}

/// The stored lookup of a number, if it has not expired and is the current provider's.
async fn find_cached(
    platform: &Platform,
    provider: &dyn LookupProvider,
    phone: &PhoneNumber,
) -> Result<Option<Model>> {
    let lookup = entity::find_by_phone(platform.database.reads(), phone).await?;
    let now = platform.now();
    Ok(lookup.filter(|lookup| {
        let is_fresh = is_waiting(now, lookup.checked_at + ttl(lookup), ttl(lookup));
        lookup.source == provider.name() && is_fresh
    }))
}

async fn look_up_and_save(
    platform: &Platform,
    provider: &dyn LookupProvider,
    failure: &Mutex<Option<LookupFailure>>,
    phone: &PhoneNumber,
) -> Result<Model> {
    // Another lookup may have finished since the caller checked the cache.
    if let Some(lookup) = find_cached(platform, provider, phone).await? {
        return Ok(lookup);
    }
    let result = match provider.look_up(&platform.outbound, phone).await {
        Err(LookupError::Transient(_)) => provider.look_up(&platform.outbound, phone).await,
        first_result => first_result,
    };
    record_outcome(failure, result.as_ref().err(), platform.now());
    let result = result.map_err(|error| {
        let message = "The number could not be checked. Nothing was saved; try again.";
        Error::with_cause(
            ErrorCode::LookupUnavailable,
            message,
            format!("{}: {error}", provider.name()),
        )
    })?;
    let tx = platform.begin().await?;
    let lookup = entity::save(&tx, phone, result, provider.name(), platform.now()).await?;
    tx.commit().await?;
    Ok(lookup)
}

/// Records whether the provider works.
fn record_outcome(
    failure: &Mutex<Option<LookupFailure>>,
    error: Option<&LookupError>,
    now: Timestamp,
) {
    let mut failure = failure.lock();
    *failure = error.map(|error| LookupFailure {
        since: failure.map_or(now, |before| before.since),
        is_refusal: matches!(error, LookupError::Permanent(_)),
    });
}

fn ttl(lookup: &Model) -> Duration {
    if lookup.is_valid { VALID_TTL } else { INVALID_TTL }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum, Iterable};

    use crate::config::LINE_TYPES;
    use crate::platform::phone::LineType;

    #[test]
    fn every_line_type_has_a_name_in_the_config() {
        assert_eq!(
            LineType::iter().map(|line_type| line_type.to_value()).collect::<Vec<_>>(),
            LINE_TYPES
        );
    }
}
