//! Event topic of changed contacts.

use crate::ids::UserId;

/// Topic that is published when a number is added to or removed from the owner's contacts.
pub fn contacts_topic(owner: UserId) -> String {
    format!("contacts:{owner}")
}
