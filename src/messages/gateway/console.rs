//! Development's gateway: it prints messages and remembers the last of them. It is development's phone, so
//! that it shows the codes too.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::{Gateway, Outcome, Parcel};
use crate::messages::status::Kind;
use crate::platform::clock::{Clock, Instant};
use crate::platform::outbound::Outbound;

/// How many messages are remembered.
const MOST: usize = 1_000;

/// Prints messages, and remembers the last thousand.
pub struct Console {
    clock: Arc<dyn Clock>,
    /// The newest first.
    sent: Mutex<VecDeque<Sent>>,
}

/// A message as it was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// [`Parcel::reference`]
    pub id: String,
    /// Whom it was for, in E.164.
    pub to: String,
    /// The text, with its code.
    pub body: String,
    /// What it was about.
    pub kind: Kind,
    /// When it was printed.
    pub created_at: Instant,
}

impl Console {
    /// Nothing printed yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sent: Mutex::default() }
    }

    /// The messages that are remembered, the newest first; all, or those to a number in E.164.
    pub fn sent(&self, to: Option<&str>) -> Vec<Sent> {
        let is_asked_for = |sent: &&Sent| to.is_none_or(|to| sent.to == to);
        self.sent.lock().iter().filter(is_asked_for).cloned().collect()
    }

    /// Whether it is a new one, which is then remembered.
    fn remember(&self, parcel: &Parcel) -> bool {
        let mut sent = self.sent.lock();
        if sent.iter().any(|sent| sent.id == parcel.reference) {
            return false;
        }
        sent.truncate(MOST - 1);
        sent.push_front(Sent {
            id: parcel.reference.clone(),
            to: parcel.to.as_str().to_owned(),
            body: parcel.body.expose_secret().to_owned(),
            kind: parcel.kind,
            created_at: self.clock.now(),
        });
        true
    }
}

#[async_trait]
impl Gateway for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    async fn send(&self, _outbound: &Outbound, parcel: &Parcel) -> Outcome {
        if self.remember(parcel) {
            let (to, body) = (parcel.to.as_str(), parcel.body.expose_secret());
            tracing::info!(to, body, "an SMS, which the console gateway brings no further");
        }
        Outcome::Accepted { gateway_id: None }
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

    fn parcel(reference: &str, to: &str) -> Parcel {
        Parcel {
            kind: Kind::Code,
            reference: reference.into(),
            to: PhoneNumber::parse(to, None).expect("a number"),
            body: format!("To {to}").into(),
            validity: None,
            handed_over_at: DateTime::UNIX_EPOCH,
        }
    }

    fn ids(sent: &[Sent]) -> Vec<&str> {
        sent.iter().map(|sent| sent.id.as_str()).collect()
    }

    #[tokio::test]
    async fn messages_are_shown_once_and_the_newest_first() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let (console, outbound) =
            (Console::new(Arc::new(clock.clone())), Outbound::new(Arc::new(clock.clone())));
        for (reference, to) in [("msg_1", ANN), ("msg_2", BEN), ("msg_1", ANN), ("msg_3", ANN)] {
            let outcome = console.send(&outbound, &parcel(reference, to)).await;
            assert_eq!(outcome, Outcome::Accepted { gateway_id: None });
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(ids(&console.sent(None)), ["msg_3", "msg_2", "msg_1"]);
        assert_eq!(ids(&console.sent(Some(ANN))), ["msg_3", "msg_1"]);
        assert_eq!(ids(&console.sent(Some("31612345678"))), [""; 0]);
        let first = Sent {
            id: "msg_1".into(),
            to: ANN.into(),
            body: format!("To {ANN}"),
            kind: Kind::Code,
            created_at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(console.sent(None).pop(), Some(first));
    }

    #[test]
    fn the_oldest_is_forgotten_beyond_a_thousand() {
        let console = Console::new(Arc::new(ManualClock::at(DateTime::UNIX_EPOCH)));
        for number in 0..=MOST {
            assert!(console.remember(&parcel(&format!("msg_{number}"), ANN)));
        }
        let sent = console.sent(None);
        assert_eq!(sent.len(), MOST);
        assert_eq!((sent[0].id.as_str(), sent[MOST - 1].id.as_str()), ("msg_1000", "msg_1"));
    }
}
