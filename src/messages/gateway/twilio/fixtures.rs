//! Test fixtures of Twilio: a gateway and a message.

use std::time::Duration;

use super::client::TwilioGateway;
use crate::config::sms::{TwilioConfig, TwilioSender};
use crate::messages::gateway::OutboundSms;
use crate::messages::status::Kind;
use crate::platform::phone::PhoneNumber;

pub const TEXT: &str = "Your code is 123456";

pub fn twilio() -> TwilioGateway {
    TwilioGateway(TwilioConfig {
        account_sid: "AC1".into(),
        auth_token: "12345".into(),
        sender: TwilioSender::From("+15550001111".into()),
        base_url: "https://api.twilio.com".parse().expect("a URL"),
        receipt_url: "https://api.example.com/webhooks/twilio/status".parse().ok(),
    })
}

pub fn sms() -> OutboundSms {
    OutboundSms {
        kind: Kind::Code,
        client_reference: "msg_1".into(),
        to: PhoneNumber::parse("+31612345678", None).expect("a number"),
        body: TEXT.into(),
        validity: Some(Duration::from_mins(5)),
        attempted_at: "2026-11-21T12:00:00Z".parse().expect("a time"),
    }
}
