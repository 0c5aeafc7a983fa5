//! The configuration: the only reader of the environment.
//!
//! A setting comes from the environment, else from `switchboard.toml` (the same names in lower case), else from the
//! defaults that `.env.example` documents. All problems are reported at once.

pub mod connections;
pub mod database;
pub mod files;
pub mod graphql;
pub mod leads;
mod load;
mod origins;
pub mod rate_limits;
mod reader;
mod setting_names;
mod settings;
pub mod sms;
#[cfg(test)]
mod tests;

pub use origins::{Origin, OriginPattern};
pub use setting_names::SETTING_NAMES;
pub use settings::{
    Config, ConnectionLimits, CorsOrigins, Environment, LINE_TYPES, LookupSource, TwoFactorPolicy,
};
