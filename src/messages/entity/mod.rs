//! The tables of messages.

pub mod early_receipts;
pub mod gateways;
pub mod messages;
pub mod moves;
