//! In-memory state of connections: the catalog of providers, where calls may go, the rate limits, calls that are not
//! in the database yet, and renewals of access tokens.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::catalog::{CatalogSettings, ProviderCatalog};
use super::entity::connections::Model;
use super::pending_calls::PendingCalls;
use super::refresh_key::RefreshKey;
use super::refresh_stats::RefreshStats;
use super::single_flight::SingleFlight;
use crate::config::Config;
use crate::config::connections::OAuthClient;
use crate::error;
use crate::ids::ConnectionId;
use crate::platform::outbound::AllowedAddress;
use crate::platform::rate_limiter::{RateLimit, RateLimiter};

const CALLS_WINDOW: Duration = Duration::from_mins(1);
const WRONG_SECRETS_WINDOW: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);

/// The in-memory state of connections, one per process.
pub struct Connections {
    /// The providers.
    pub catalog: ProviderCatalog,
    /// Private addresses that calls may go to, from OUTBOUND_ALLOW.
    pub outbound_allow: Vec<AllowedAddress>,
    /// Calls by connection.
    pub call_limiter: RateLimiter<ConnectionId>,
    /// Wrong secrets by address.
    pub wrong_secret_limiter: RateLimiter<IpAddr>,
    /// Connections made, by address.
    pub connection_limiter: RateLimiter<IpAddr>,
    /// Mappings made, by address.
    pub mapping_limiter: RateLimiter<IpAddr>,
    /// Previews of mappings, by address.
    pub preview_limiter: RateLimiter<IpAddr>,
    /// Calls that are not in the database yet.
    pub pending_calls: PendingCalls,
    /// The renewals of access tokens that are under way.
    pub refreshes: SingleFlight<RefreshKey, error::Result<Model>>,
    /// Counts of those that have ended.
    pub refresh_stats: RefreshStats,
    /// How many mappings may be applied at once.
    pub mapping_slots: Arc<Semaphore>,
}

impl Connections {
    /// The state with the configured providers.
    ///
    /// # Errors
    /// Every problem of OUTBOUND_ALLOW, of the entries of providers and of the operator's OAuth clients.
    pub fn new(config: &Config) -> Result<Self, Vec<String>> {
        let settings = &config.connections;
        let (mut outbound_allow, mut problems) = (Vec::new(), Vec::new());
        for text in &settings.outbound_allow {
            match text.parse() {
                Ok(address) => outbound_allow.push(address),
                Err(problem) => problems.push(format!("OUTBOUND_ALLOW: {text}: {problem}")),
            }
        }
        let is_development = !config.is_production();
        let mut oauth_clients = settings.oauth_clients.clone();
        if is_development {
            let secret = Some("demo-secret".into());
            let demo_client = OAuthClient { id: "demo".into(), secret };
            oauth_clients.entry("DEMO".into()).or_insert(demo_client);
        }
        let catalog = ProviderCatalog::load(&CatalogSettings {
            file: settings.providers_file.as_deref(),
            oauth_clients: &oauth_clients,
            outbound_allow: &outbound_allow,
            public_url: config.base_url(),
            is_development,
        });
        let limits = &config.rate_limits;
        match catalog {
            Ok(catalog) if problems.is_empty() => Ok(Self {
                catalog,
                outbound_allow,
                call_limiter: limiter(limits.calls_per_connection, CALLS_WINDOW),
                wrong_secret_limiter: limiter(
                    limits.wrong_secrets_per_address,
                    WRONG_SECRETS_WINDOW,
                ),
                connection_limiter: limiter(limits.connections_per_address, HOUR),
                mapping_limiter: limiter(limits.mappings_per_address, HOUR),
                preview_limiter: limiter(limits.previews_per_address, HOUR),
                pending_calls: PendingCalls::default(),
                refreshes: SingleFlight::default(),
                refresh_stats: RefreshStats::default(),
                mapping_slots: Arc::new(Semaphore::new(mapping_slots())),
            }),
            catalog => {
                problems.extend(catalog.err().unwrap_or_default());
                Err(problems)
            }
        }
    }
}

fn limiter<K: Clone + Eq + Hash>(max_attempts: u32, window: Duration) -> RateLimiter<K> {
    RateLimiter::new(RateLimit { max_attempts, window })
}

/// Half of the processors, so that mappings leave the others to everything else.
fn mapping_slots() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / 2).max(1)
}
