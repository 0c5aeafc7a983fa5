//! Delivery status of a message as a gateway reports it, in a receipt or when queried.

use super::outcome::FailureReason;
use crate::messages::status::Status;

/// Delivery status of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUpdate {
    /// SENT, DELIVERED, UNDELIVERED or FAILED.
    pub status: Status,
    /// Why the message was not delivered.
    pub reason: Option<FailureReason>,
    /// The gateway's id of the message.
    pub gateway_id: Option<String>,
}

/// Result of a status query about a message whose attempt had no clear outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryResult {
    /// The gateway has the message, with this status.
    Found(StatusUpdate),
    /// The gateway does not have the message.
    NotFound,
    /// It is not known whether the gateway has the message.
    Inconclusive,
}
