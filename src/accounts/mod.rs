//! Proving who one is, and the whole of one's own account: passwords, sessions, tokens, `User`.
//!
//! Access tokens are short and checked against their session at each request; refresh tokens are used
//! once. What ends a session is a row, so that every instance hears of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access_token::AccessTokens;
use challenge::Told;
use challenge::budgets::Budgets;
use endings::Endings;
use parking_lot::Mutex;
use password::Hasher;
use signing_keys::SigningKeys;
use standing::Standings;

use crate::config::{Config, TwoFactor};
use crate::error::Result;
use crate::ids::UserId;
use crate::messages::Messages;
use crate::people::Identifier;
use crate::platform::Platform;
use crate::platform::jobs::Wake;
use crate::platform::phone::Region;
use crate::platform::throttle::{Limit, Throttle};

mod access_token;
mod authenticate;
mod challenge;
mod change_password;
mod current_password;
mod delete;
mod endings;
mod entity;
mod forgot_password;
pub mod graphql;
mod lineage;
mod locked;
mod login;
mod logout;
mod notice;
mod over;
mod password;
mod phone;
mod recover;
mod refresh;
mod refresh_token;
mod request_code;
mod reseal;
mod resend_code;
mod reset_password;
mod revoke;
mod role;
mod second_factor;
mod session;
mod signing_keys;
mod signup;
mod standing;
mod sweep;
mod update_profile;
mod verify_code;

pub use authenticate::{Authenticated, SESSION_ENDED, authenticate, still_signed_in};
pub use challenge::{Challenge, Verification, tell_codes};
pub use endings::topic as ending_topic;
pub use forgot_password::send_resets;
pub use login::{LoginInput, login};
pub use logout::{end_session, logout};
pub use over::{Over, demoted, session_over};
pub use recover::{Recovery, recover};
pub use refresh::refresh;
pub use reseal::reseal;
pub use revoke::revoke;
pub use role::set_role;
pub use session::{Client, SignIn, SignedIn};
pub use signing_keys::{ensure_signing_key, rotate_signing_keys};
pub use signup::{SignupInput, signup};
pub use sweep::sweep;

const FAILED_LOGINS_WINDOW: Duration = Duration::from_mins(15);
const SIGNUPS_WINDOW: Duration = Duration::from_hours(1);

/// What the room keeps as long as the process lives.
pub struct Accounts {
    messages: Arc<Messages>,
    two_factor: TwoFactor,
    budgets: Budgets,
    /// Woken when a code for a forgotten password was asked for.
    pub resets: Wake,
    told_codes: Mutex<Told>,
    passwords: Hasher,
    signing_keys: SigningKeys,
    access_tokens: AccessTokens,
    standings: Standings,
    endings: Endings,
    signups: Throttle<IpAddr>,
    failed_logins: Throttle<(Identifier, IpAddr)>,
    failed_logins_per_address: Throttle<IpAddr>,
    wrong_passwords: Throttle<UserId>,
    default_region: Option<Region>,
}

impl Accounts {
    /// Reads the signing keys, of which there is at least one by now.
    ///
    /// # Errors
    /// When they cannot be read or opened.
    pub async fn new(
        platform: &Platform,
        config: &Config,
        messages: Arc<Messages>,
    ) -> Result<Self> {
        let throttle = |attempts, window| Limit { attempts, window };
        let limits = &config.limits;
        Ok(Self {
            messages,
            two_factor: config.two_factor,
            budgets: Budgets::new(&limits.codes),
            resets: Wake::default(),
            told_codes: Mutex::default(),
            passwords: Hasher::default(),
            signing_keys: SigningKeys::load(platform).await?,
            access_tokens: AccessTokens::new(config.base_url(), config.access_token),
            standings: Standings::default(),
            endings: Endings::caught_up(platform),
            signups: Throttle::new(throttle(limits.signups_per_address, SIGNUPS_WINDOW)),
            failed_logins: Throttle::new(throttle(limits.failed_logins, FAILED_LOGINS_WINDOW)),
            failed_logins_per_address: Throttle::new(throttle(
                limits.failed_logins_per_address,
                FAILED_LOGINS_WINDOW,
            )),
            wrong_passwords: Throttle::new(throttle(limits.failed_logins, FAILED_LOGINS_WINDOW)),
            default_region: config.default_region.map(Region::from),
        })
    }

    /// The public keys that verify access tokens, as a JWK set (RFC 7517).
    pub fn jwks(&self, platform: &Platform) -> serde_json::Value {
        self.signing_keys.jwks(platform.now(), self.access_tokens.lifetime())
    }

    /// Hears of what other instances ended. Called when they tell of it, and each second.
    ///
    /// # Errors
    /// When the database is out of reach; until it is back, nothing remembered is trusted.
    pub async fn catch_up(&self, platform: &Platform) -> Result<()> {
        endings::catch_up(self, platform).await
    }

    /// How many passwords were hashed or compared so far.
    pub fn passwords_hashed(&self) -> u64 {
        self.passwords.done()
    }
}
