//! Switchboard: the backend of a phone-first game or app behind one GraphQL schema.

pub mod config;
pub mod error;
pub mod ids;
pub mod platform;
