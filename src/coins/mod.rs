//! Coins: an append-only ledger, and wallets with the balances.
//!
//! Only [`post`] and [`post_many`] change coins: they update a wallet and add the ledger entry, in the caller's
//! transaction. A reference is posted at most once.

mod adjust;
mod demo;
mod entity;
pub mod graphql;
pub mod loaders;
pub mod measures;
mod post_many;
mod posting;
mod verify_ledger;

pub use adjust::adjust;
pub use demo::{DemoEntry, DemoWallet, insert_demo_entries, insert_demo_wallets};
pub use entity::coin_entries::{EntryReason, Model as Entry};
pub use entity::wallets::MAX_BALANCE;
pub use post_many::{Credit, CreditOutcome, post_many};
pub use posting::{Posting, is_out_of_range, post, wallet_topic};
pub use verify_ledger::{LedgerReport, verify_ledger};
