//! Timeouts of database operations, in real time: they limit the network, not anything that tests control.

use std::time::Duration;

/// Waits for a future. Returns None, and drops the future, if it does not complete in time.
#[expect(
    clippy::disallowed_methods,
    reason = "a clock that tests move says nothing about a server that does not answer"
)]
pub async fn timeout<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}
