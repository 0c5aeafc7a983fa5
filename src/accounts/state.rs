//! State of the accounts module that lives as long as the process: keys, caches, rate limiters.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::access_token::AccessTokens;
use super::challenge::LastStates;
use super::challenge::rate_limits::CodeRateLimiter;
use super::password::Hasher;
use super::revocations::RevocationPoll;
use super::session_cache::SessionCache;
use super::signing_keys::SigningKeys;
use crate::bonuses::Bonuses;
use crate::config::{Config, TwoFactorPolicy};
use crate::error::Result;
use crate::ids::UserId;
use crate::messages::Messages;
use crate::people::Identifier;
use crate::platform::Platform;
use crate::platform::jobs::Notifier;
use crate::platform::phone::Region;
use crate::platform::rate_limiter::{RateLimit, RateLimiter};

const FAILED_LOGINS_WINDOW: Duration = Duration::from_mins(15);
const SIGNUPS_WINDOW: Duration = Duration::from_hours(1);

/// Keys, caches and rate limiters of the accounts module.
pub struct Accounts {
    pub(super) messages: Arc<Messages>,
    pub(super) bonuses: Arc<Bonuses>,
    pub(super) two_factor_policy: TwoFactorPolicy,
    pub(super) code_rate_limiter: CodeRateLimiter,
    /// Notified when a code for a forgotten password is requested.
    pub reset_code_notifier: Notifier,
    pub(super) challenge_states: LastStates,
    pub(super) password_hasher: Hasher,
    pub(super) signing_keys: SigningKeys,
    pub(super) access_tokens: AccessTokens,
    pub(super) session_cache: Arc<SessionCache>,
    pub(super) revocation_poll: RevocationPoll,
    pub(super) signup_limiter: RateLimiter<IpAddr>,
    pub(super) failed_login_limiter: RateLimiter<(Identifier, IpAddr)>,
    pub(super) failed_login_limiter_per_address: RateLimiter<IpAddr>,
    pub(super) wrong_password_limiter: RateLimiter<UserId>,
    pub(super) default_region: Option<Region>,
}

impl Accounts {
    /// Reads the signing keys. At least one must exist.
    pub async fn new(
        platform: &Platform,
        config: &Config,
        messages: Arc<Messages>,
        bonuses: Arc<Bonuses>,
    ) -> Result<Self> {
        let limit = |attempts, window| RateLimit { max_attempts: attempts, window };
        let limits = &config.rate_limits;
        Ok(Self {
            messages,
            bonuses,
            two_factor_policy: config.two_factor,
            code_rate_limiter: CodeRateLimiter::new(&limits.codes),
            reset_code_notifier: Notifier::default(),
            challenge_states: LastStates::default(),
            password_hasher: Hasher::default(),
            signing_keys: SigningKeys::load(platform).await?,
            access_tokens: AccessTokens::new(config.base_url(), config.access_token_ttl),
            session_cache: Arc::default(),
            revocation_poll: RevocationPoll::new(platform),
            signup_limiter: RateLimiter::new(limit(limits.signups_per_address, SIGNUPS_WINDOW)),
            failed_login_limiter: RateLimiter::new(limit(
                limits.failed_logins,
                FAILED_LOGINS_WINDOW,
            )),
            failed_login_limiter_per_address: RateLimiter::new(limit(
                limits.failed_logins_per_address,
                FAILED_LOGINS_WINDOW,
            )),
            wrong_password_limiter: RateLimiter::new(limit(
                limits.failed_logins,
                FAILED_LOGINS_WINDOW,
            )),
            default_region: config.default_region.map(Region::from),
        })
    }

    /// The public keys that verify access tokens, as a JWK set (RFC 7517).
    pub fn jwks(&self, platform: &Platform) -> serde_json::Value {
        self.signing_keys.jwks(platform.now(), self.access_tokens.lifetime())
    }

    /// How many passwords were hashed or compared since the start.
    pub fn passwords_hashed(&self) -> u64 {
        self.password_hasher.hash_count()
    }
}
