//! Switchboard: the backend of a phone-first game or app behind one GraphQL schema.

pub mod accounts;
pub mod api;
pub mod app;
pub mod avatars;
pub mod coins;
pub mod commands;
pub mod config;
pub mod contacts;
pub mod error;
pub mod games;
pub mod ids;
pub mod messages;
pub mod people;
pub mod platform;
pub mod schema;
pub mod server;
