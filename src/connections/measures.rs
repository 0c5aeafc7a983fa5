//! Statistics of API connections.

/// Calls of providers. They are not counted again: their log goes after 30 days, and with its connection.
pub const CONNECTION_CALLS: &str = "connection_calls";
