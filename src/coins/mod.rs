//! Coins: a ledger that is only ever added to, and the wallets that are its sums.
//!
//! One function writes: it changes a wallet and adds the entry that says why, in the transaction of whoever
//! has coins to give. A reference is booked once, whatever happens.

mod adjust;
mod book;
mod entity;
pub mod graphql;
pub mod loaders;
mod verify;

pub use adjust::adjust;
pub use book::{Movement, book, is_beyond, tell, topic};
pub use entity::coin_entries::{Model as Entry, Reason};
pub use verify::{Ledger, verify};

/// The most that a wallet holds: what JavaScript reads exactly.
pub const MOST: i64 = (1 << 53) - 1;
