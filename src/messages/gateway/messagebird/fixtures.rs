//! Test fixtures of MessageBird: a gateway and a message.

use std::time::Duration;

use super::client::MessageBirdGateway;
use crate::config::sms::MessageBirdConfig;
use crate::messages::gateway::OutboundSms;
use crate::messages::status::Kind;
use crate::platform::phone::PhoneNumber;

pub const TEXT: &str = "Your code is 123456";

pub fn messagebird() -> MessageBirdGateway {
    MessageBirdGateway(MessageBirdConfig {
        access_key: "live_1".into(),
        signing_key: Some("key".into()),
        originator: "Switchboard".into(),
        base_url: "https://rest.messagebird.com".parse().expect("a URL"),
        receipt_url: "https://api.example.com/webhooks/messagebird/status".parse().ok(),
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
