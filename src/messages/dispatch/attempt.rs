//! An attempt to send a message, with its outcome.

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
    /// Otherwise the outcome says nothing about the gateway.
    pub gateway_was_called: bool,
    /// By the uptime of the clock, which is never set back.
    pub finished_at: Duration,
}
