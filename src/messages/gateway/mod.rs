//! Gateways: who takes a message and brings it to a phone, and what their answers mean.
//!
//! Each sorts its own documented answers into the same few outcomes; what follows from an outcome is
//! decided in one place, for all of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use secrecy::SecretString;

use super::status::{Kind, Status};
use crate::config::sms;
use crate::platform::clock::Instant;
use crate::platform::outbound::{Bounds, Outbound, Trouble};
use crate::platform::phone::PhoneNumber;

mod answer;
pub mod console;
mod http;
mod messagebird;
mod twilio;

pub use answer::is_id;

/// One call of a gateway. An answer has a few kilobytes.
pub const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(15), bytes: 64 * 1024 };
/// A message as it is handed over.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Names this message at the gateway and in receipts ("msg_…"); the same at each attempt.
    pub reference: String,
    /// What it is about.
    pub kind: Kind,
    /// Whom it is for.
    pub to: PhoneNumber,
    /// The text. A secret, because it may hold a code.
    pub body: SecretString,
    /// How long it is worth delivering.
    pub validity: Option<Duration>,
    /// When it was handed over.
    pub handed_over_at: Instant,
}

/// What became of handing a message over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway has it.
    Accepted {
        /// The gateway's own id of it, if it tells one.
        gateway_id: Option<String>,
    },
    /// The gateway will never take this message.
    Refused(Reason),
    /// There was no connection to the gateway.
    OutOfReach(Reason),
    /// The gateway takes nothing at the moment: it has too much to do, or is out of service.
    NotNow {
        /// What it said.
        reason: Reason,
        /// How long it asked us to wait.
        after: Option<Duration>,
    },
    /// Nothing can be sent until somebody mends the configuration or the account.
    Misconfigured(Reason),
    /// It is not known whether the gateway took it.
    Unclear {
        /// What happened.
        reason: Reason,
        /// Whether the gateway answered with an error of its own (a status of 500, say).
        is_error: bool,
    },
}

/// Why, for the operator: never holds the number, the text or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The gateway's own code ("21211"), if it gave one.
    pub code: Option<String>,
    /// In our words.
    pub text: String,
}

impl Reason {
    /// In our words alone.
    pub fn new(text: impl Into<String>) -> Self {
        Self { code: None, text: text.into() }
    }

    /// With the gateway's code.
    pub fn coded(code: impl std::fmt::Display, text: impl Into<String>) -> Self {
        Self { code: Some(code.to_string()), text: text.into() }
    }
}

/// What a gateway knows of a message whose hand-over was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has it, and so far this became of it.
    Known(News),
    /// It never got it.
    Missing,
    /// It did not say.
    NotSaid,
}

/// How far a message got, as a gateway tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// SENT, DELIVERED, UNDELIVERED or FAILED.
    pub status: Status,
    /// Why it did not arrive.
    pub reason: Option<Reason>,
    /// The gateway's own id of it.
    pub gateway_id: Option<String>,
}

/// A receipt that is the gateway's beyond doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which message it is about.
    pub about: About,
    /// What became of it. None: nothing that we keep.
    pub news: Option<News>,
}

/// How a receipt names its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// By [`Parcel::reference`].
    Ours(String),
    /// By the gateway's own id.
    Theirs(String),
}

/// A request to one of our webhooks.
#[derive(Debug)]
pub struct Call<'a> {
    /// The URL as the gateway was given it, with the query as it came.
    pub url: String,
    /// The query as it came, without the question mark.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, byte by byte.
    pub body: &'a [u8],
    /// Now.
    pub now: Instant,
}

/// Why a receipt is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBelieved {
    /// Its signature is missing or wrong: whoever sent it is not the gateway.
    #[error("{0}")]
    Forged(&'static str),
    /// It is genuine and cannot be read.
    #[error("{0}")]
    Unreadable(&'static str),
}

/// Takes messages and brings them to phones.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// "twilio", "messagebird", "http" or "console".
    fn name(&self) -> &'static str;

    /// Hands a message over.
    async fn send(&self, outbound: &Outbound, parcel: &Parcel) -> Outcome;

    /// Asks what became of a message whose hand-over was not answered.
    async fn find(&self, _outbound: &Outbound, _parcel: &Parcel) -> Found {
        Found::NotSaid
    }

    /// Whether it can be asked.
    fn can_find(&self) -> bool {
        false
    }

    /// Whether handing the same reference over twice sends one SMS.
    fn is_idempotent(&self) -> bool {
        false
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// When it is not believed.
    fn read_receipt(&self, _call: &Call<'_>) -> Result<Receipt, NotBelieved> {
        Err(NotBelieved::Forged("this gateway sends no receipts"))
    }
}

/// The gateway of these settings.
///
/// # Errors
/// A sentence that names the bad setting.
pub fn of(
    settings: &sms::Gateway,
    console: &Arc<console::Console>,
) -> Result<Arc<dyn Gateway>, String> {
    Ok(match settings {
        sms::Gateway::Console => console.clone(),
        sms::Gateway::Twilio(settings) => Arc::new(twilio::Twilio(settings.clone())),
        sms::Gateway::MessageBird(settings) => Arc::new(messagebird::MessageBird(settings.clone())),
        sms::Gateway::Http(settings) => Arc::new(http::Http::new(settings)?),
    })
}

/// What a call that brought no answer means. Without a connection the message cannot have been taken.
fn unanswered(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::NotConnected(_) => {
            Outcome::OutOfReach(Reason::new("the gateway cannot be reached"))
        }
        Trouble::BrokenOff(_) => {
            Outcome::Unclear { reason: Reason::new("the connection broke off"), is_error: false }
        }
        Trouble::Timeout => {
            Outcome::Unclear { reason: Reason::new("no answer in time"), is_error: false }
        }
        Trouble::TooLarge => {
            Outcome::Unclear { reason: Reason::new("the answer is too large"), is_error: false }
        }
    }
}
