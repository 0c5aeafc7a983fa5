//! An attempt to hand a message over, with its outcome.

use std::sync::Arc;
use std::time::Duration;

use crate::messages::Message;
use crate::messages::gateway::{SendOutcome, SmsGateway};

/// A finished attempt.
pub struct Attempt {
    /// The message as it was claimed.
    pub message: Message,
    pub gateway: Arc<dyn SmsGateway>,
    pub outcome: SendOutcome,
    /// Whether a request to the gateway was made.
    pub was_handed_over: bool,
    /// By the uptime of the clock, which is never set back.
    pub finished_at: Duration,
}
