//! Counts of renewals of access tokens since the start of the process, for metrics.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// What came of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefreshOutcome {
    /// There are new tokens.
    Renewed,
    /// The provider no longer accepts the refresh token.
    Revoked,
    /// The token endpoint could not be reached, or answered an error.
    Failed,
    /// There is no refresh token or no OAuth client.
    Impossible,
}

impl RefreshOutcome {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Revoked => "revoked",
            Self::Failed => "failed",
            Self::Impossible => "impossible",
        }
    }
}

/// Counts by provider and outcome. The providers are those of the catalog, so there are few.
#[derive(Debug, Default)]
pub struct RefreshStats(Mutex<BTreeMap<(String, RefreshOutcome), u64>>);

impl RefreshStats {
    /// Counts a renewal.
    pub fn record(&self, provider: &str, outcome: RefreshOutcome) {
        *self.0.lock().entry((provider.to_owned(), outcome)).or_default() += 1;
    }

    /// All counts.
    pub fn counts(&self) -> BTreeMap<(String, RefreshOutcome), u64> {
        self.0.lock().clone()
    }
}
