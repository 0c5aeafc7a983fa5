//! Tables of the messages module.

pub mod gateways;
pub mod messages;
pub mod transitions;
pub mod unmatched_receipts;
