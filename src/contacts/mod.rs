//! The people someone knows: a name and a phone number that was really checked.
//!
//! A number is checked by a lookup service before it is saved, once for everybody. A contact shows a
//! profile only when a discoverable user has proved to have the number.

mod add;
mod change;
mod entity;
mod forget;
pub mod graphql;
pub mod loaders;
mod lookup;
mod topic;

pub use add::{NewContact, add};
pub use change::{remove, rename};
pub use entity::{has_phone, phone_keys_of};
pub use forget::forget;
pub use lookup::Lookups;
pub use topic::topic;
