//! The tables of accounts.

pub mod audit;
pub mod challenges;
pub mod credentials;
pub mod endings;
pub mod sessions;
pub mod signing_keys;
