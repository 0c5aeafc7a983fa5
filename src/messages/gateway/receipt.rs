//! Delivery receipts: the webhook request that carries one, and its parsed content.

use reqwest::header::HeaderMap;

use super::status_update::StatusUpdate;
use crate::platform::clock::Timestamp;

/// A receipt that is proven to come from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message that it is about.
    pub message: MessageRef,
    /// The reported status. `None` if it is not relevant for the message.
    pub update: Option<StatusUpdate>,
}

/// Reference to a message in a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageRef {
    /// The [`OutboundSms::client_reference`](super::OutboundSms::client_reference).
    ClientReference(String),
    /// The gateway's id.
    GatewayId(String),
}

/// A request to one of our webhooks.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    /// Public URL of the webhook, with the received query.
    pub url: String,
    /// The raw query, without the question mark.
    pub query: &'a str,
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// Raw request body.
    pub body: &'a [u8],
    /// Time of the request.
    pub now: Timestamp,
}

/// Why a receipt is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The signature or secret is missing or wrong: the sender is not the gateway.
    #[error("{0}")]
    Forged(&'static str),
    /// The receipt is genuine but malformed.
    #[error("{0}")]
    Unreadable(&'static str),
}
