//! Contacts: names with phone numbers that exist.
//!
//! A lookup provider checks a number before it is saved; the result is shared by all users. A contact shows a profile
//! only if a discoverable user has verified the number.

mod add;
mod entity;
mod erase;
pub mod graphql;
pub mod loaders;
mod lookup;
mod remove;
mod rename;
mod topic;

pub use add::{NewContact, add};
pub use entity::{has_phone, list_phone_keys};
pub use erase::erase;
pub use lookup::{CachedLookup, LookupFailure};
pub use remove::remove;
pub use rename::rename;
pub use topic::contacts_topic;
