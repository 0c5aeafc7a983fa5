//! Interface of a phone lookup provider.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::platform::outbound::{EgressPolicy, Outbound};
use crate::platform::phone::{InvalidPhoneReason, PhoneInfo, PhoneNumber};

/// Policy of a request to a provider, whose URL the operator sets. A response has less than a kilobyte.
pub(super) static REQUEST_POLICY: LazyLock<EgressPolicy> = LazyLock::new(|| EgressPolicy {
    timeout: Duration::from_secs(3),
    max_response_bytes: 64 * 1024,
    ..EgressPolicy::operator()
});

/// Result of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupResult {
    /// The number exists.
    Valid(PhoneInfo),
    /// The number does not exist.
    Invalid(InvalidPhoneReason),
}

/// Why a lookup failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// A retry may help.
    #[error("{0}")]
    Transient(String),
    /// A retry cannot help: the credentials are wrong or the account is empty.
    #[error("{0}")]
    Permanent(String),
}

/// Provider of phone lookups.
#[async_trait]
pub(super) trait LookupProvider: Send + Sync {
    /// Name in `PhoneLookup.source`.
    fn name(&self) -> &'static str;

    /// Looks up a number.
    async fn look_up(
        &self,
        outbound: &Outbound,
        phone: &PhoneNumber,
    ) -> Result<LookupResult, LookupError>;
}

/// Parses a response. The error does not quote it, because it contains the number.
pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, LookupError> {
    let malformed = |error: serde_json::Error| {
        LookupError::Transient(format!(
            "unreadable at line {}, column {}",
            error.line(),
            error.column()
        ))
    };
    serde_json::from_slice(body).map_err(malformed)
}
