//! Reads settings from text: their syntax, defaults, and problems.

mod config;
mod connections;
mod database;
mod files;
mod graphql;
mod leads;
mod log;
mod network;
mod phone_numbers;
mod rate_limits;
mod sms;
mod values;

pub use values::SettingsReader;
