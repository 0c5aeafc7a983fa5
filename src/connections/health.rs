//! How the connections of each provider are, in numbers.

use std::collections::BTreeMap;

use super::entity::connection_tokens;
use super::entity::connections::Status;
use crate::error::{ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// The connections of a provider, by status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderHealth {
    /// The key of the provider.
    pub provider: String,
    /// The number of active connections.
    pub active: i64,
    /// The number of connections whose token could not be renewed, and is tried again.
    pub degraded: i64,
    /// The number of connections that need new credentials.
    pub needs_reauth: i64,
    /// The latest error among those.
    pub last_error_code: Option<ErrorCode>,
}

/// The health of each provider that has connections, by key.
///
/// # Errors
/// SERVICE_UNAVAILABLE.
pub async fn load_health(platform: &Platform) -> Result<Vec<ProviderHealth>> {
    let db = platform.database.reads();
    let mut health: BTreeMap<String, ProviderHealth> = BTreeMap::new();
    for (provider, status, count) in connection_tokens::count_by_status(db).await? {
        let entry = health.entry(provider.clone()).or_default();
        entry.provider = provider;
        match status {
            Status::Active => entry.active = count,
            Status::Degraded => entry.degraded = count,
            Status::NeedsReauth => entry.needs_reauth = count,
        }
    }
    let mut latest: BTreeMap<String, Timestamp> = BTreeMap::new();
    for (provider, code, at) in connection_tokens::last_error_codes(db).await? {
        let is_latest = latest.get(&provider).is_none_or(|known| at > *known);
        if let (true, Some(entry)) = (is_latest, health.get_mut(&provider)) {
            entry.last_error_code = ErrorCode::from_stored_name(&code);
            latest.insert(provider, at);
        }
    }
    Ok(health.into_values().collect())
}
