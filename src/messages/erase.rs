//! Erasure of a person's messages, when the account is deleted.

use super::Status;
use super::entity::{messages, transitions};
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
    for status in [Status::Queued, Status::Sending, Status::Unknown] {
        let kinds = messages::cancel_many(tx, phone, ids, status).await?;
        let to_cancelled = kinds.into_iter().map(|kind| (kind, Some(status), Status::Cancelled));
        transitions::record(tx, platform, to_cancelled).await?;
    }
    Ok(messages::erase(tx, phone, ids).await?)
}
