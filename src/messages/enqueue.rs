//! Enqueueing of messages in the transaction of their cause, so that they are sent only if that transaction commits.

use secrecy::{ExposeSecret, SecretString};

use super::entity::messages;
use super::entity::transitions::{self, Transition};
use super::sealed_body::aad;
use super::segments::sms_size;
use super::{Kind, Message, Messages, Status};
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// A message to send.
#[derive(Debug)]
pub struct NewMessage {
    /// The kind, which is also the lane.
    pub kind: Kind,
    /// The recipient.
    pub to: PhoneNumber,
    /// The text.
    pub text: MessageText,
    /// The campaign that it belongs to.
    pub campaign: Option<String>,
    /// When it is too late to send it. None: after SMS_WAIT_DAYS.
    pub expires_at: Option<Timestamp>,
}

/// The text of a message.
#[derive(Debug)]
pub enum MessageText {
    /// Without a secret: operators may read it.
    Plain(String),
    /// With a code, which operators must not see.
    Secret {
        /// The text with the code. Stored encrypted, and cleared when it is sent.
        text: SecretString,
        /// The text with the code masked, for operators.
        masked: String,
    },
}

/// Queues a message, which is sent once the transaction is committed.
pub async fn enqueue(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    new: NewMessage,
) -> Result<MessageId> {
    let now = platform.now();
    let message = to_queued(messages, platform, (platform.new_id(), new), now);
    messages::insert(tx, message.clone()).await?;
    let transition = Transition::new(&message, None, Status::Queued, now);
    transitions::record(tx, platform, [transition]).await?;
    tx.notify(&messages.notifier);
    Ok(message.id)
}

/// Queues many messages under new ids, by one statement for each few thousand of them. They are sent once the
/// transaction is committed.
pub async fn enqueue_many(
    messages: &Messages,
    platform: &Platform,
    tx: &Work,
    new: Vec<(MessageId, NewMessage)>,
) -> Result<()> {
    let now = platform.now();
    let to_queued = |message| to_queued(messages, platform, message, now);
    let mut queued: Vec<_> = new.into_iter().map(to_queued).collect();
    if queued.is_empty() {
        return Ok(());
    }
    messages::insert_many(tx, &mut queued, now).await?;
    let to_transition = |message: &Message| Transition::new(message, None, Status::Queued, now);
    transitions::record(tx, platform, queued.iter().map(to_transition)).await?;
    tx.notify(&messages.notifier);
    Ok(())
}

/// The row of a message that is created now.
fn to_queued(
    messages: &Messages,
    platform: &Platform,
    (id, new): (MessageId, NewMessage),
    now: Timestamp,
) -> Message {
    let (body, sealed_body, size) = match new.text {
        MessageText::Plain(text) => {
            let size = sms_size(&text);
            (text, None, size)
        }
        MessageText::Secret { text, masked } => {
            let text = text.expose_secret();
            (masked, Some(platform.vault.seal(&aad(id), text.as_bytes())), sms_size(text))
        }
    };
    Message {
        id,
        kind: new.kind,
        phone: new.to,
        body,
        sealed_body,
        encoding: size.encoding,
        segments: size.segments,
        campaign: new.campaign,
        status: Status::Queued,
        attempts: 0,
        manual_retries: 0,
        gateway: None,
        gateway_id: None,
        pinned_gateway: None,
        error: None,
        created_at: now,
        queued_at: now,
        due_at: Some(now),
        expires_at: new.expires_at.unwrap_or(now + messages.settings.max_wait),
        attempted_at: None,
        sent_at: None,
        delivered_at: None,
        state_at: None,
    }
}
