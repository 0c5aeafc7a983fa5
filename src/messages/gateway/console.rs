//! Console gateway for development: prints messages, with their codes, and remembers the latest.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::{OutboundSms, SendOutcome, SmsGateway};
use crate::messages::status::Kind;
use crate::platform::clock::{Clock, Timestamp};
use crate::platform::outbound::Outbound;

/// Number of messages that are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Gateway that prints messages and remembers the latest.
pub struct ConsoleGateway {
    clock: Arc<dyn Clock>,
    /// Newest first.
    printed: Mutex<VecDeque<PrintedSms>>,
}

/// A printed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedSms {
    /// [`OutboundSms::client_reference`]
    pub id: String,
    /// Recipient in E.164.
    pub to: String,
    /// Text, including the code.
    pub body: String,
    /// Kind of message.
    pub kind: Kind,
    /// Time of printing.
    pub created_at: Timestamp,
}

impl ConsoleGateway {
    /// A gateway that has printed nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, printed: Mutex::default() }
    }

    /// The remembered messages, newest first: all, or those to a number in E.164.
    pub fn printed(&self, to: Option<&str>) -> Vec<PrintedSms> {
        let matches_number = |sms: &&PrintedSms| to.is_none_or(|to| sms.to == to);
        self.printed.lock().iter().filter(matches_number).cloned().collect()
    }

    /// Remembers a message. Returns false if it was remembered before.
    fn remember(&self, sms: &OutboundSms) -> bool {
        let mut printed = self.printed.lock();
        if printed.iter().any(|earlier| earlier.id == sms.client_reference) {
            return false;
        }
        printed.truncate(MAX_REMEMBERED - 1);
        printed.push_front(PrintedSms {
            id: sms.client_reference.clone(),
            to: sms.to.as_str().to_owned(),
            body: sms.body.expose_secret().to_owned(),
            kind: sms.kind,
            created_at: self.clock.now(),
        });
        true
    }
}

#[async_trait]
impl SmsGateway for ConsoleGateway {
    fn name(&self) -> &'static str {
        "console"
    }

    async fn send(&self, _outbound: &Outbound, sms: &OutboundSms) -> SendOutcome {
        if self.remember(sms) {
            let (to, body) = (sms.to.as_str(), sms.body.expose_secret());
            tracing::info!(to, body, "an SMS, which the console gateway brings no further");
        }
        SendOutcome::Accepted { gateway_id: None }
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::platform::clock::ManualClock;
    use crate::platform::phone::PhoneNumber;

    const ANN: &str = "+31612345678";
    const BEN: &str = "+31687654321";

    fn sms(reference: &str, to: &str) -> OutboundSms {
        OutboundSms {
            kind: Kind::Code,
            client_reference: reference.into(),
            to: PhoneNumber::parse(to, None).expect("a number"),
            body: format!("To {to}").into(),
            validity: None,
            attempted_at: DateTime::UNIX_EPOCH,
        }
    }

    fn ids(printed: &[PrintedSms]) -> Vec<&str> {
        printed.iter().map(|sms| sms.id.as_str()).collect()
    }

    #[tokio::test]
    async fn messages_are_listed_once_and_newest_first() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let (console, outbound) =
            (ConsoleGateway::new(Arc::new(clock.clone())), Outbound::new(Arc::new(clock.clone())));
        for (reference, to) in [("msg_1", ANN), ("msg_2", BEN), ("msg_1", ANN), ("msg_3", ANN)] {
            let outcome = console.send(&outbound, &sms(reference, to)).await;
            assert_eq!(outcome, SendOutcome::Accepted { gateway_id: None });
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(ids(&console.printed(None)), ["msg_3", "msg_2", "msg_1"]);
        assert_eq!(ids(&console.printed(Some(ANN))), ["msg_3", "msg_1"]);
        assert_eq!(ids(&console.printed(Some("31612345678"))), [""; 0]);
        let first = PrintedSms {
            id: "msg_1".into(),
            to: ANN.into(),
            body: format!("To {ANN}"),
            kind: Kind::Code,
            created_at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(console.printed(None).pop(), Some(first));
    }

    #[test]
    fn oldest_messages_are_dropped_at_the_limit() {
        let console = ConsoleGateway::new(Arc::new(ManualClock::at(DateTime::UNIX_EPOCH)));
        for number in 0..=MAX_REMEMBERED {
            assert!(console.remember(&sms(&format!("msg_{number}"), ANN)));
        }
        let printed = console.printed(None);
        assert_eq!(printed.len(), MAX_REMEMBERED);
        assert_eq!(
            (printed[0].id.as_str(), printed[MAX_REMEMBERED - 1].id.as_str()),
            ("msg_1000", "msg_1")
        );
    }
}
