//! Entities of the accounts module, one per table.

pub mod audit;
pub mod challenges;
pub mod credentials;
pub mod revocations;
pub mod sessions;
pub mod signing_keys;
