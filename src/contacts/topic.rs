//! Telling that somebody has another contact, or one less.

use crate::ids::UserId;

/// The topic of whose numbers somebody has.
pub fn topic(owner: UserId) -> String {
    format!("contacts:{owner}")
}
