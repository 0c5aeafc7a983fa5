//! The record of one request by the proxy, for the log of calls. It is written when it is dropped, so that a caller who
//! goes away is logged too.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use crate::connections::pending_calls::LoggedCall;
use crate::connections::state::Connections;
use crate::error::ErrorCode;
use crate::ids::ConnectionId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// The record of a request that is under way.
pub struct CallRecord {
    connections: Arc<Connections>,
    platform: Arc<Platform>,
    connection: ConnectionId,
    method: Method,
    path: String,
    called_at: Timestamp,
    started_at: Duration,
    /// How often the request was sent.
    pub attempts: u32,
    /// The status that the provider answered.
    pub status: Option<StatusCode>,
    /// Why there is no answer, or not all of it.
    pub error: Option<ErrorCode>,
}

impl CallRecord {
    /// Begins a record.
    pub fn start(
        connections: Arc<Connections>,
        platform: Arc<Platform>,
        connection: ConnectionId,
        method: Method,
        path: String,
    ) -> Self {
        let (called_at, started_at) = (platform.now(), platform.uptime());
        Self {
            connections,
            platform,
            connection,
            method,
            path,
            called_at,
            started_at,
            attempts: 0,
            status: None,
            error: None,
        }
    }

    /// How long the request has taken.
    pub fn elapsed(&self) -> Duration {
        self.platform.uptime().saturating_sub(self.started_at)
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        self.connections.pending_calls.push(LoggedCall {
            id: self.platform.new_id(),
            connection: self.connection,
            called_at: self.called_at,
            method: self.method.to_string(),
            path: std::mem::take(&mut self.path),
            status: self.status.map(|status| status.as_u16()),
            error: self.error,
            duration_ms: i32::try_from(self.elapsed().as_millis()).unwrap_or(i32::MAX),
            attempts: self.attempts,
        });
    }
}
