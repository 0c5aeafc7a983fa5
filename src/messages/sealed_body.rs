//! Sealed bodies: the body of a message with a code is encrypted in its row.

use crate::ids::MessageId;

/// The additional authenticated data, which binds a sealed body to its message.
pub fn aad(id: MessageId) -> String {
    format!("messages/{id}")
}
