//! Bonuses: campaigns that give coins to phone numbers, each number once per campaign.
//!
//! An import applies a file of numbers in chunks; [`file`] reads it. A number of a user with a verified phone is credited
//! at once; any other waits, and [`pay_pending`] credits it in the transaction in which somebody verifies it.

mod apply_chunk;
mod campaign;
mod chunk_size;
mod control_import;
mod entity;
pub mod file;
pub mod graphql;
pub mod loaders;
mod notify;
mod number_key;
mod pay_pending;
mod reference;
mod report;
mod run_imports;
mod start_import;
mod state;
mod topics;

pub use number_key::reseal;
pub use pay_pending::{hold_off_imports, pay_pending};
pub use report::read_report;
pub use run_imports::run_imports;
pub use state::Bonuses;
