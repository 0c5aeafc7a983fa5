//! Client reference: our name of a message at its gateway and in receipts. It is the message's id, followed by the
//! number of the manual retry, if there was one.

use super::Message;
use crate::ids::{self, MessageId};

/// The client reference of a message. Each manual retry has its own, so that the gateway does not take it for a
/// duplicate.
pub fn client_reference(message: &Message) -> String {
    match message.manual_retries {
        0 => message.id.to_string(),
        retries => format!("{}-{retries}", message.id),
    }
}

/// The message id in a client reference.
pub fn parse_client_reference(reference: &str) -> Option<MessageId> {
    ids::parse(reference.split_once('-').map_or(reference, |(id, _)| id))
}
