//! Calls of demo data: made in the past, in bulk.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use uuid::Uuid;

use super::call_log::write;
use super::create::{CredentialInput, NewConnection, create_connection};
use super::pending_calls::LoggedCall;
use super::state::Connections;
use crate::error::Result;
use crate::ids::ConnectionId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;

/// A call of demo data.
#[derive(Clone, Copy, Debug)]
pub struct DemoCall {
    /// The id, in the order of the calls.
    pub id: Uuid,
    /// The connection.
    pub connection: ConnectionId,
    /// When the call began.
    pub called_at: Timestamp,
    /// The status that the provider answered.
    pub status: u16,
    /// How long it took.
    pub duration_ms: i32,
}

/// Creates a connection to Stripe with a key that opens nothing.
pub async fn create_demo_connection(
    connections: &Connections,
    platform: &Platform,
) -> Result<ConnectionId> {
    let new = NewConnection {
        provider: "stripe".to_owned(),
        scheme: None,
        credentials: CredentialInput(json!({ "apiKey": "sk_test_demo" })),
        label: Some("demo".to_owned()),
        end_user: None,
        verify: false,
    };
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let created = create_connection(connections, platform, address, new).await?;
    Ok(created.connection.id)
}

/// Writes calls to the log, and counts them.
pub async fn insert_demo_calls(platform: &Platform, demo: &[DemoCall]) -> Result<()> {
    let to_call = |call: &DemoCall| LoggedCall {
        id: call.id.into(),
        connection: call.connection,
        called_at: call.called_at,
        method: "GET".to_owned(),
        path: "/v1/charges".to_owned(),
        status: Some(call.status),
        error: None,
        duration_ms: call.duration_ms,
        attempts: 1,
    };
    let calls: Vec<LoggedCall> = demo.iter().map(to_call).collect();
    write(platform, &calls).await
}
