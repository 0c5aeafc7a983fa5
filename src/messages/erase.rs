//! Erasure of a person's messages, when the account is deleted.

use super::Status;
use super::entity::messages;
use super::entity::transitions::{self, Transition};
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// Erases the texts and numbers of messages that are to the number or among the ids. Those that are not sent yet are
/// cancelled.
pub async fn erase(
    platform: &Platform,
    tx: &Work,
    phone: Option<&PhoneNumber>,
    ids: &[MessageId],
) -> Result<()> {
    let now = platform.now();
    for status in [Status::Queued, Status::Sending, Status::Unknown] {
        let cancelled = messages::cancel_many(tx, phone, ids, status, now).await?;
        let to_cancelled = cancelled
            .iter()
            .map(|message| Transition::new(message, Some(status), Status::Cancelled, now));
        transitions::record(tx, platform, to_cancelled).await?;
    }
    Ok(messages::erase(tx, phone, ids).await?)
}
