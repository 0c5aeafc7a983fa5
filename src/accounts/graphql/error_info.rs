//! GraphQL object that describes an error code.

use async_graphql::Object;

use crate::error::ErrorCode;

/// An error code.
pub struct ErrorInfo(pub ErrorCode);

/// What an error code means.
#[Object]
impl ErrorInfo {
    /// The code, as in `extensions.code`.
    async fn code(&self) -> ErrorCode {
        self.0
    }

    /// "fail": you can mend it. "error": we have to.
    async fn status(&self) -> &str {
        self.0.status().as_str()
    }

    /// Whether the same request may succeed later.
    async fn retryable(&self) -> bool {
        self.0.is_retryable()
    }

    /// What it means, for the developer who meets it.
    async fn description(&self) -> &str {
        self.0.description()
    }
}
