//! The tables of statistics. One file per table.

pub mod deltas;
pub mod sums;
