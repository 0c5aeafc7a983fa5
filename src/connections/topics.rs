//! The topics of connections on the event bus.

use crate::ids::ConnectionId;

/// Published when a connection changes, its secret is replaced, or it is deleted.
pub fn connection_topic(id: ConnectionId) -> String {
    format!("connection:{id}")
}
