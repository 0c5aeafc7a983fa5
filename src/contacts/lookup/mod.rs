//! Lookup of phone numbers: whether a number exists, and its type of line.

mod cached_lookup;
pub mod entity;
mod messagebird;
mod offline;
mod provider;
mod twilio;

pub use cached_lookup::{CachedLookup, LookupFailure};
