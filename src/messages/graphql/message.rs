//! GraphQL of a message and its enums.

use async_graphql::{Enum, ID, Object};

use crate::api::scalars::{DateTime, PhoneNumber};
use crate::messages::segments::Encoding;
use crate::messages::{Kind, Message, Status};

/// How far a message is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum MessageStatus {
    /// Waits for its turn, or for its next attempt.
    Queued,
    /// Is being handed to the gateway.
    Sending,
    /// Was handed over, and nobody knows whether the gateway took it. A receipt, the gateway's own word or an
    /// operator settles it. Where a gateway answered with an error and cannot be asked, it is handed over again.
    Unknown,
    /// The gateway took it.
    Sent,
    /// Withdrawn before it was sent.
    Cancelled,
    /// Its time was over before it was sent.
    Expired,
    /// Refused by the gateway, or tried too often; `error` says why.
    Failed,
    /// The gateway could not bring it to the phone; `error` says why.
    Undelivered,
    /// It is on the phone.
    Delivered,
}

/// What a message is about, which is also its lane: codes overtake notices, notices overtake bonuses.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Kind")]
pub enum MessageKind {
    /// A code that somebody is waiting for.
    Code,
    /// Something that an account's owner must know.
    Notice,
    /// A bonus was paid.
    Bonus,
}

/// How a text is written on the air, which decides how much of it one SMS holds.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Encoding", name = "MessageCharacters")]
pub enum MessageCharacters {
    /// The GSM 7-bit alphabet: 160 characters, or 153 in each of several.
    #[graphql(name = "GSM_7")]
    Gsm7,
    /// UCS-2: 70 characters, or 67 in each of several.
    #[graphql(name = "UCS_2")]
    Ucs2,
}

/// GraphQL object of a message.
pub struct MessageNode(pub Message);

/// An SMS.
#[Object(name = "Message")]
impl MessageNode {
    /// The message's id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it is about.
    async fn kind(&self) -> MessageKind {
        self.0.kind.into()
    }

    /// The recipient's number. Null once the recipient's account was deleted.
    async fn to(&self) -> Option<PhoneNumber> {
        let number = self.0.phone.as_str();
        (!number.is_empty()).then(|| PhoneNumber(number.to_owned()))
    }

    /// The text. A code in it is masked; once its time is over (`SMS_BODIES_DAYS`), it is empty.
    async fn body(&self) -> &str {
        &self.0.body
    }

    /// How the text is written on the air.
    async fn characters(&self) -> MessageCharacters {
        self.0.encoding.into()
    }

    /// How many SMS the text takes, which is what it costs.
    async fn segments(&self) -> i32 {
        self.0.segments.into()
    }

    /// How far it is.
    async fn status(&self) -> MessageStatus {
        self.0.status.into()
    }

    /// How often it was tried since it was queued. What counts as the gateway's own trouble, like one out of
    /// reach, is no attempt.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// The gateway that it was handed to: "twilio", "messagebird", "http" or "console".
    async fn gateway(&self) -> Option<&str> {
        self.0.gateway.as_deref()
    }

    /// The gateway's own id of it.
    async fn gateway_id(&self) -> Option<&str> {
        self.0.gateway_id.as_deref()
    }

    /// What went wrong last, with the gateway's code.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }

    /// The campaign that it belongs to.
    async fn campaign(&self) -> Option<&str> {
        self.0.campaign.as_deref()
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When the gateway took it.
    async fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(DateTime::from)
    }

    /// When it was on the phone.
    async fn delivered_at(&self) -> Option<DateTime> {
        self.0.delivered_at.map(DateTime::from)
    }

    /// When it is tried, or tried again. Null: it is not QUEUED.
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.due_at.filter(|_| self.0.status == Status::Queued).map(DateTime::from)
    }
}
