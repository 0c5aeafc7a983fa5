//! Time limits of the database: real time, as they bound a network and not anything that a user sees.

use std::time::Duration;

/// Waits for a future, so long at most. None: it did not end in time, and was dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "a clock that tests move says nothing about a server that does not answer"
)]
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}
