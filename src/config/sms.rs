//! How SMS leave.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Sending SMS.
#[derive(Clone, Debug)]
pub struct Sms {
    /// Who sends them. Without one they wait.
    pub gateway: Option<Gateway>,
    /// Who sends them while the first is in trouble.
    pub fallback: Option<Gateway>,
    /// The most messages a second for one gateway, over all instances. None: as many as it takes.
    pub rate_per_second: Option<u32>,
    /// How many this instance hands over at the same time.
    pub parallel: usize,
    /// How often one message is tried.
    pub attempts: i32,
    /// How long a message that is no code may wait before it is given up.
    pub wait: Duration,
    /// How long the texts of messages are kept.
    pub bodies_kept: Duration,
    /// The language of the texts, as in `templates.toml`.
    pub language: String,
    /// What the texts call this service.
    pub service_name: String,
}

/// A gateway and what it needs.
#[derive(Clone, Debug)]
pub enum Gateway {
    /// Prints, for development.
    Console,
    /// Twilio's Programmable Messaging.
    Twilio(Twilio),
    /// MessageBird's SMS API.
    MessageBird(MessageBird),
    /// One that a customer provides.
    Http(Box<Http>),
}

/// Twilio's Programmable Messaging.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// The account's SID ("AC…").
    pub account_sid: String,
    /// The account's token, which signs receipts too.
    pub auth_token: SecretString,
    /// Who the messages are from.
    pub sender: TwilioSender,
    /// Where the API is.
    pub base_url: Url,
    /// Where receipts are asked for. None: the API could not reach it.
    pub receipts: Option<Url>,
}

/// Who Twilio's messages are from.
#[derive(Clone, Debug)]
pub enum TwilioSender {
    /// A number or an alphanumeric sender.
    From(String),
    /// The SID of a messaging service ("MG…").
    MessagingService(String),
}

/// MessageBird's SMS API.
#[derive(Clone, Debug)]
pub struct MessageBird {
    /// The account's access key.
    pub access_key: SecretString,
    /// What signs receipts. None: none is believed, so none is asked for.
    pub signing_key: Option<SecretString>,
    /// Who the messages are from: a number, or at most 11 letters and digits.
    pub originator: String,
    /// Where the API is.
    pub base_url: Url,
    /// Where receipts are asked for. None: the API could not reach it, or could not sign.
    pub receipts: Option<Url>,
}

/// A gateway that a customer provides.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where messages go; may hold `{to}`, `{body}` and `{id}`.
    pub url: String,
    /// "POST", "PUT" or "GET".
    pub method: String,
    /// Headers by their names; they may hold secrets.
    pub headers: BTreeMap<String, SecretString>,
    /// What is sent, with `{to}`, `{body}` and `{id}`. Empty for GET.
    pub body: String,
    /// Where the answer has the gateway's own id ("data.0.id"). None: it has none.
    pub id_path: Option<String>,
    /// Whether a message with the same `{id}` is sent once, however often it is handed over.
    pub idempotent: bool,
    /// Receipts. None: none come.
    pub receipts: Option<HttpReceipts>,
}

/// How receipts of a customer's gateway are read.
#[derive(Clone, Debug)]
pub struct HttpReceipts {
    /// The field with the message's `{id}` or the gateway's own.
    pub id: String,
    /// The field with the status.
    pub status: String,
    /// What the gateway's statuses mean, by their names in lower case.
    pub status_map: BTreeMap<String, HttpStatus>,
    /// The header that has the secret, or the HMAC-SHA256 of the body under it.
    pub header: String,
    /// What shows that a receipt is the gateway's.
    pub secret: SecretString,
}

/// What a status of a customer's gateway means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpStatus {
    /// Nothing new.
    Ignored,
    /// On its way.
    Sent,
    /// Arrived.
    Delivered,
    /// Did not arrive.
    Undelivered,
    /// Was refused.
    Failed,
}
