//! The SMS settings: gateways, sending, and retention.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// The SMS settings.
#[derive(Clone, Debug)]
pub struct SmsConfig {
    /// The gateway. Without one, messages wait.
    pub gateway: Option<GatewayConfig>,
    /// The gateway to use while the first one fails.
    pub fallback: Option<GatewayConfig>,
    /// The maximum number of messages per second and gateway, over all instances. `None` for no limit.
    pub rate_per_second: Option<u32>,
    /// The maximum number of messages that this instance sends concurrently.
    pub max_concurrent_sends: usize,
    /// The maximum number of attempts per message.
    pub max_attempts: i32,
    /// The time after which an unsent message expires, except for codes.
    pub max_wait: Duration,
    /// How long the texts of messages are stored.
    pub body_retention: Duration,
    /// The language of the texts, as in `templates.toml`.
    pub language: String,
    /// The name of this service in the texts.
    pub service_name: String,
}

/// A gateway with its settings.
#[derive(Clone, Debug)]
pub enum GatewayConfig {
    /// Prints messages, for development.
    Console,
    /// Twilio's Programmable Messaging.
    Twilio(TwilioConfig),
    /// MessageBird's SMS API.
    MessageBird(MessageBirdConfig),
    /// The operator's own HTTP gateway.
    Http(Box<HttpGatewayConfig>),
}

/// Twilio's Programmable Messaging.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// The account's SID ("AC…").
    pub account_sid: String,
    /// The account's token. It also signs receipts.
    pub auth_token: SecretString,
    /// The sender of the messages.
    pub sender: TwilioSender,
    /// The URL of the API.
    pub base_url: Url,
    /// The URL for receipts. `None` if the gateway could not reach it.
    pub receipt_url: Option<Url>,
}

/// The sender of Twilio's messages.
#[derive(Clone, Debug)]
pub enum TwilioSender {
    /// A number or an alphanumeric sender.
    From(String),
    /// The SID of a messaging service ("MG…").
    MessagingService(String),
}

/// MessageBird's SMS API.
#[derive(Clone, Debug)]
pub struct MessageBirdConfig {
    /// The account's access key.
    pub access_key: SecretString,
    /// The key that signs receipts. Without it, receipts are not requested, as they could not be verified.
    pub signing_key: Option<SecretString>,
    /// The sender of the messages: a number, or at most 11 letters and digits.
    pub originator: String,
    /// The URL of the API.
    pub base_url: Url,
    /// The URL for receipts. `None` if the gateway could not reach it, or the receipts could not be verified.
    pub receipt_url: Option<Url>,
}

/// The operator's own HTTP gateway.
#[derive(Clone, Debug)]
pub struct HttpGatewayConfig {
    /// The URL of the request. May contain `{to}`, `{body}` and `{id}`.
    pub url: String,
    /// "POST", "PUT" or "GET".
    pub method: String,
    /// Headers by name. They may contain secrets.
    pub headers: BTreeMap<String, SecretString>,
    /// The body of the request, with `{to}`, `{body}` and `{id}`. Empty for GET.
    pub body: String,
    /// The path of the gateway's own message id in the response ("data.0.id"), if it has one.
    pub id_path: Option<String>,
    /// Whether the gateway sends a message once even if the request is repeated with the same `{id}`.
    pub is_idempotent: bool,
    /// The format of receipts. `None` if the gateway sends none.
    pub receipts: Option<HttpReceiptConfig>,
}

/// The format of receipts from the operator's own gateway.
#[derive(Clone, Debug)]
pub struct HttpReceiptConfig {
    /// The field with the message's `{id}` or the gateway's own id.
    pub id: String,
    /// The field with the status.
    pub status: String,
    /// The meaning of the gateway's statuses, by their names in lower case.
    pub status_map: BTreeMap<String, MappedStatus>,
    /// The header with the secret, or with the HMAC-SHA256 of the body under it.
    pub header: String,
    /// The secret that authenticates receipts.
    pub secret: SecretString,
}

/// The meaning of a status of the operator's own gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappedStatus {
    /// The receipt changes nothing.
    Ignored,
    /// The message is on its way.
    Sent,
    /// The message arrived.
    Delivered,
    /// The message did not arrive.
    Undelivered,
    /// The message was rejected.
    Failed,
}
