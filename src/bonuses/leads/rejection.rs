//! Why a webhook was not accepted.

use crate::error::Error;

/// Why a webhook was not accepted.
#[derive(Debug)]
pub enum WebhookRejection {
    /// Its secret is not set, so it does not exist.
    NotConfigured,
    /// It does not show the secret, or is not signed by it.
    Forged,
    /// The body cannot be read. Contains a sentence for the sender's developer.
    Unreadable(String),
    /// The leads were not stored. The same webhook may succeed later.
    Failed(Error),
}

impl WebhookRejection {
    /// A body that cannot be read, with a sentence that says why.
    pub(super) fn unreadable(problem: impl Into<String>) -> Self {
        Self::Unreadable(problem.into())
    }
}

impl From<Error> for WebhookRejection {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
