//! Tables of the coins module.

pub mod coin_entries;
pub mod wallets;
