//! Putting a message into the queue, in the transaction of the deed that it tells of.

use secrecy::{ExposeSecret, SecretString};

use super::entity::{messages, moves};
use super::segments::size_of;
use super::{Kind, Messages, Status};
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// What somebody is to be told.
#[derive(Debug)]
pub struct NewMessage {
    /// What it is about, which is its lane.
    pub kind: Kind,
    /// Whom it is for.
    pub to: PhoneNumber,
    /// The text.
    pub text: Text,
    /// The campaign that it belongs to.
    pub campaign: Option<String>,
    /// When it is not worth sending any more. None: after the time that is configured.
    pub expires_at: Option<Instant>,
}

/// A text.
#[derive(Debug)]
pub enum Text {
    /// That may be read by operators.
    Open(String),
    /// That holds a code.
    Secret {
        /// With the code: sealed until it is handed over, and then gone.
        text: SecretString,
        /// Without it, to be shown.
        masked: String,
    },
}

/// Puts a message into the queue. It leaves when the transaction is committed; call `wake` then, so that
/// it does so at once.
///
/// # Errors
/// Those of the database.
pub async fn queue(
    room: &Messages,
    platform: &Platform,
    tx: &Work,
    new: NewMessage,
) -> Result<MessageId> {
    let id: MessageId = platform.new_id();
    let now = platform.now();
    let (body, sealed_body, size) = match new.text {
        Text::Open(text) => {
            let size = size_of(&text);
            (text, None, size)
        }
        Text::Secret { text, masked } => {
            let text = text.expose_secret();
            (masked, Some(platform.vault.seal(&place(id), text.as_bytes())), size_of(text))
        }
    };
    let message = messages::Model {
        id,
        kind: new.kind,
        phone: new.to,
        body,
        sealed_body,
        characters: size.characters,
        segments: size.segments,
        campaign: new.campaign,
        status: Status::Queued,
        attempts: 0,
        retries: 0,
        gateway: None,
        gateway_id: None,
        bound_to: None,
        error: None,
        created_at: now,
        queued_at: now,
        due_at: Some(now),
        expires_at: new.expires_at.unwrap_or(now + room.settings.wait),
        handed_over_at: None,
        sent_at: None,
        delivered_at: None,
    };
    messages::insert(tx, message).await?;
    moves::add(tx, platform, [(new.kind, None, Status::Queued)]).await?;
    Ok(id)
}

/// Where a sealed text opens.
pub fn place(id: MessageId) -> String {
    format!("messages/{id}")
}
