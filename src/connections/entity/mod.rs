//! The tables of connections.

pub mod calls;
pub mod connection_tokens;
pub mod connections;
pub mod mappings;
