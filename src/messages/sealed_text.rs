//! Sealed texts: a text with a code is encrypted in its row.

use crate::ids::MessageId;

/// The additional authenticated data, which binds a sealed text to its message.
pub fn aad(id: MessageId) -> String {
    format!("messages/{id}")
}
