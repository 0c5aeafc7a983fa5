//! Event topics of messages.

use crate::ids::MessageId;
use crate::platform::Platform;

/// The topic of one message. Published when it was handed over and when its receipt arrived; for other changes,
/// listeners have to poll.
pub fn message_topic(id: MessageId) -> String {
    format!("message:{id}")
}

/// The topic of the queue's figures. Each instance computes them and publishes changes to its own watchers only.
pub fn queue_topic() -> String {
    "messages".to_owned()
}

/// The topic of status transitions, on all instances.
pub fn transitions_topic() -> String {
    "message-transitions".to_owned()
}

/// Announces committed transitions to all instances.
pub fn publish_transitions(platform: &Platform) {
    platform.events.publish(&transitions_topic());
}
