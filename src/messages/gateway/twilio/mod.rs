//! Twilio's Programmable Messaging: the Messages resource of the API of 2010-04-01.
//!
//! It has no idempotency key, but it can be asked for the messages to a number.

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::{Call, Found, Gateway, News, NotBelieved, Outcome, Parcel, Receipt};
use crate::config::sms;
use crate::messages::status::Status;
use crate::platform::outbound::Outbound;

mod codes;
mod find;
mod receipt;
mod send;

/// Hands messages to Twilio.
pub struct Twilio(pub sms::Twilio);

#[async_trait]
impl Gateway for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    async fn send(&self, outbound: &Outbound, parcel: &Parcel) -> Outcome {
        self.hand_over(outbound, parcel).await
    }

    async fn find(&self, outbound: &Outbound, parcel: &Parcel) -> Found {
        self.search(outbound, parcel).await.unwrap_or(Found::NotSaid)
    }

    fn can_find(&self) -> bool {
        true
    }

    fn read_receipt(&self, call: &Call<'_>) -> Result<Receipt, NotBelieved> {
        receipt::read(&self.0.auth_token, call)
    }
}

impl Twilio {
    /// The list of the account's messages. None: the base URL is no address of an API.
    fn messages(&self) -> Option<Url> {
        let mut url = self.0.base_url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend([
            "2010-04-01",
            "Accounts",
            &self.0.account_sid,
            "Messages.json",
        ]);
        Some(url)
    }

    fn request(&self, outbound: &Outbound, method: Method, url: Url) -> RequestBuilder {
        let token = self.0.auth_token.expose_secret();
        outbound.request(method, url).basic_auth(&self.0.account_sid, Some(token))
    }
}

/// A message as Twilio tells it.
#[derive(Deserialize)]
struct Message {
    sid: String,
    status: Option<String>,
    error_code: Option<i64>,
    body: Option<String>,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    /// As in RFC 2822.
    date_created: Option<String>,
}

/// How far a message with this status is. None: Twilio has it, and nothing happened yet.
fn status(theirs: &str) -> Option<Status> {
    match theirs {
        "sent" => Some(Status::Sent),
        "delivered" | "read" => Some(Status::Delivered),
        "undelivered" => Some(Status::Undelivered),
        "failed" | "canceled" => Some(Status::Failed),
        _ => None,
    }
}

fn news(status: Status, error_code: Option<i64>, sid: Option<String>) -> News {
    let reason =
        matches!(status, Status::Undelivered | Status::Failed).then(|| codes::reason(error_code));
    News { status, reason, gateway_id: sid }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::platform::phone::PhoneNumber;

    pub const TEXT: &str = "Your code is 123456";

    pub fn twilio() -> Twilio {
        Twilio(sms::Twilio {
            account_sid: "AC1".into(),
            auth_token: "12345".into(),
            sender: sms::TwilioSender::From("+15550001111".into()),
            base_url: "https://api.twilio.com".parse().expect("a URL"),
            receipts: "https://api.example.com/webhooks/twilio/status".parse().ok(),
        })
    }

    pub fn parcel() -> Parcel {
        Parcel {
            kind: crate::messages::Kind::Code,
            reference: "msg_1".into(),
            to: PhoneNumber::parse("+31612345678", None).expect("a number"),
            body: TEXT.into(),
            validity: Some(Duration::from_mins(5)),
            handed_over_at: "2026-11-21T12:00:00Z".parse().expect("a time"),
        }
    }
}
