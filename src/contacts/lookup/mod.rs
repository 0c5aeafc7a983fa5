//! Whether a phone number exists, and what kind it is: asked once for everybody.
//!
//! Answers are kept per number, so that a paid call is made once; those who ask for the same number at
//! the same time wait for one call. When nobody can be asked, the number is neither valid nor invalid.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use self::entity::Model;
use self::messagebird::MessageBird;
use self::offline::Offline;
use self::twilio::Twilio;
use crate::config::{Config, LookupSource};
use crate::error::{Error, ErrorCode, Failure, Result};
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::clock::is_waiting;
use crate::platform::outbound::{Bounds, Outbound};
use crate::platform::phone::{Facts, PhoneNumber, Reason, Region};
use crate::platform::throttle::{Limit, Throttle};

pub mod entity;
mod messagebird;
mod offline;
mod twilio;

/// How long a good answer holds.
const VALID_HOLDS: Duration = Duration::from_hours(30 * 24);
/// How long a bad one does: numbers come into use.
const INVALID_HOLDS: Duration = Duration::from_hours(24);
/// One call of a lookup service. An answer has less than a kilobyte.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(3), bytes: 64 * 1024 };
const LIMIT_WINDOW: Duration = Duration::from_hours(1);

/// What a lookup service says of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It exists.
    Valid(Facts),
    /// It does not.
    Invalid(Reason),
}

/// Why a lookup service gave no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
enum Trouble {
    /// Once more may help.
    #[error("{0}")]
    Passing(String),
    /// It will not: the key is wrong, the account is empty.
    #[error("{0}")]
    Lasting(String),
}

/// A lookup service.
#[async_trait]
trait Lookup: Send + Sync {
    /// What `PhoneLookup.source` says.
    fn name(&self) -> &'static str;

    /// Asks about a number.
    async fn look_up(
        &self,
        outbound: &Outbound,
        phone: &PhoneNumber,
    ) -> std::result::Result<Finding, Trouble>;
}

type Call = Shared<BoxFuture<'static, Result<Model>>>;

/// The lookup service that is configured, and what is being asked of it now.
pub struct Lookups {
    platform: Arc<Platform>,
    service: Arc<dyn Lookup>,
    calls: Arc<Mutex<HashMap<PhoneNumber, Call>>>,
    refused: Vec<String>,
    default_region: Option<Region>,
    limit: Throttle<UserId>,
}

impl Lookups {
    /// As it is configured.
    pub fn new(platform: Arc<Platform>, config: &Config) -> Self {
        let service: Arc<dyn Lookup> = match &config.lookup {
            LookupSource::Offline => Arc::new(Offline),
            LookupSource::MessageBird { access_key, base_url } => {
                Arc::new(MessageBird { access_key: access_key.clone(), base_url: base_url.clone() })
            }
            LookupSource::Twilio { account_sid, auth_token, base_url } => Arc::new(Twilio {
                account_sid: account_sid.clone(),
                auth_token: auth_token.clone(),
                base_url: base_url.clone(),
            }),
        };
        Self {
            platform,
            service,
            calls: Arc::default(),
            refused: config.refused_line_types.clone(),
            default_region: config.default_region.map(Region::from),
            limit: Throttle::new(Limit { attempts: config.limits.lookups, window: LIMIT_WINDOW }),
        }
    }

    /// The region of numbers without a country code.
    pub fn default_region(&self) -> Option<&Region> {
        self.default_region.as_ref()
    }

    /// Accepts a number that exists and can be called. Afterwards its lookup is kept.
    ///
    /// # Errors
    /// INVALID_PHONE_NUMBER on `phone`; LOOKUP_UNAVAILABLE; RATE_LIMITED when the service would have to be
    /// asked once too often for this user.
    pub async fn check(&self, user: UserId, phone: &PhoneNumber) -> Result<()> {
        let lookup = match kept(&self.platform, &*self.service, phone).await? {
            Some(lookup) => lookup,
            None => {
                self.limit.attempt(self.platform.uptime(), &user)?;
                self.ask(phone).await?
            }
        };
        match lookup.refusal(&self.refused) {
            Some(reason) => Err(Failure::from(reason).at("phone").into()),
            None => Ok(()),
        }
    }

    /// Asks the service, together with whoever asks for the same number now.
    async fn ask(&self, phone: &PhoneNumber) -> Result<Model> {
        let call = {
            let mut calls = self.calls.lock();
            calls.entry(phone.clone()).or_insert_with(|| self.call(phone.clone())).clone()
        };
        call.await
    }

    /// A call of its own: whoever started it may leave, the others still get their answer.
    fn call(&self, phone: PhoneNumber) -> Call {
        let (platform, service) = (self.platform.clone(), self.service.clone());
        let under_way = UnderWay { calls: self.calls.clone(), phone };
        let asked =
            tokio::spawn(
                async move { look_up_and_keep(&platform, &*service, &under_way.phone).await },
            );
        async move { asked.await.map_err(Error::internal)? }.boxed().shared()
    }
}

/// A call's place among those under way, which it leaves however it ends.
struct UnderWay {
    calls: Arc<Mutex<HashMap<PhoneNumber, Call>>>,
    phone: PhoneNumber,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.phone);
    }
}

/// What the service said of a number, as long as that holds.
async fn kept(
    platform: &Platform,
    service: &dyn Lookup,
    phone: &PhoneNumber,
) -> Result<Option<Model>> {
    let kept = entity::of_phone(platform.database.reads(), phone).await?;
    let now = platform.now();
    Ok(kept.filter(|lookup| {
        let holds = is_waiting(now, lookup.checked_at + holds(lookup), holds(lookup));
        lookup.source == service.name() && holds
    }))
}

async fn look_up_and_keep(
    platform: &Platform,
    service: &dyn Lookup,
    phone: &PhoneNumber,
) -> Result<Model> {
    // Whoever looked just before the last call ended comes here just after.
    if let Some(kept) = kept(platform, service, phone).await? {
        return Ok(kept);
    }
    let finding = match service.look_up(&platform.outbound, phone).await {
        Err(Trouble::Passing(_)) => service.look_up(&platform.outbound, phone).await,
        outcome => outcome,
    };
    let finding = finding.map_err(|trouble| {
        let message = "The number could not be checked. Nothing was saved; try again.";
        Error::ours(ErrorCode::LookupUnavailable, message, format!("{}: {trouble}", service.name()))
    })?;
    let tx = platform.database.begin().await?;
    let kept = entity::keep(&tx, phone, finding, service.name(), platform.now()).await?;
    tx.commit().await?;
    Ok(kept)
}

/// Reads a service's answer. What is wrong with it is told without repeating it: it names a person's number.
fn read_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> std::result::Result<T, Trouble> {
    let unreadable = |error: serde_json::Error| {
        Trouble::Passing(format!("unreadable at line {}, column {}", error.line(), error.column()))
    };
    serde_json::from_slice(body).map_err(unreadable)
}

fn holds(lookup: &Model) -> Duration {
    if lookup.valid { VALID_HOLDS } else { INVALID_HOLDS }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ActiveEnum, Iterable};

    use crate::config::LINE_TYPES;
    use crate::platform::phone::LineType;

    #[test]
    fn every_line_type_can_be_refused_by_its_name() {
        assert_eq!(LineType::iter().map(|kind| kind.to_value()).collect::<Vec<_>>(), LINE_TYPES);
    }
}
