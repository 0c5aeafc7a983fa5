//! The tables of avatars.

pub mod avatars;
pub mod discards;
