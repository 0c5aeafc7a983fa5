//! Entities of coins.

pub mod coin_entries;
pub mod wallets;
