//! Coins: an append-only ledger, and wallets with the balances.
//!
//! Only [`post`] changes coins: it updates a wallet and adds the ledger entry, in the caller's transaction. A reference
//! is posted at most once.

mod adjust;
mod entity;
pub mod graphql;
pub mod loaders;
mod posting;
mod verify_ledger;

pub use adjust::adjust;
pub use entity::coin_entries::{EntryReason, Model as Entry};
pub use entity::wallets::MAX_BALANCE;
pub use posting::{Posting, is_out_of_range, post, wallet_topic};
pub use verify_ledger::{LedgerReport, verify_ledger};
