//! Event topics of messages.

use crate::ids::MessageId;

/// The topic of one message with a code. Published when an attempt has ended and when a receipt has arrived; for other
/// changes, listeners have to poll.
pub fn message_topic(id: MessageId) -> String {
    format!("message:{id}")
}

/// The topic of the queue's statistics. Each instance computes them and publishes it locally only.
pub fn queue_topic() -> String {
    "messages".to_owned()
}

/// The topic of status transitions, on all instances.
pub fn transitions_topic() -> String {
    "message-transitions".to_owned()
}
