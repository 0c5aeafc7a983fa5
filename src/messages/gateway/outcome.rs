//! Outcomes of an attempt to send, common to all gateways.

use std::time::Duration;

/// Outcome of an attempt to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The gateway accepted the message.
    Accepted {
        /// The gateway's id of the message, if it returns one.
        gateway_id: Option<String>,
    },
    /// The gateway will never accept this message.
    Refused(FailureReason),
    /// No connection to the gateway.
    Unreachable(FailureReason),
    /// The gateway accepts nothing at the moment: it is overloaded or out of service.
    Throttled {
        /// Reason that the gateway gave.
        reason: FailureReason,
        /// Delay that the gateway asked for.
        retry_after: Option<Duration>,
    },
    /// Nothing can be sent until the configuration or the account is fixed.
    Misconfigured(FailureReason),
    /// It is unknown whether the gateway accepted the message.
    Indeterminate {
        /// Why it is unknown.
        reason: FailureReason,
        /// Whether the gateway reported an internal error (such as status 500).
        is_gateway_error: bool,
    },
}

/// Reason of a failure, for operators. Never contains the number, the text or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReason {
    /// The gateway's error code ("21211"), if it returned one.
    pub code: Option<String>,
    /// Description in our words.
    pub text: String,
}

impl FailureReason {
    /// A reason without a gateway code.
    pub fn new(text: impl Into<String>) -> Self {
        Self { code: None, text: text.into() }
    }

    /// A reason with the gateway's code.
    pub fn with_code(code: impl std::fmt::Display, text: impl Into<String>) -> Self {
        Self { code: Some(code.to_string()), text: text.into() }
    }
}
