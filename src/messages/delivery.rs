//! How far single messages are, for the rooms above whose deeds they tell of.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::Status;
use super::entity::messages::{self, Change};
use super::entity::moves;
use crate::error::Result;
use crate::ids::MessageId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// The topic of one message. This instance tells when it handed it over and when its receipt came; everything
/// else is for the listener to look at.
pub fn delivery_topic(id: MessageId) -> String {
    format!("message:{id}")
}

/// Forgets the texts and numbers of messages, to a number and some others; what is not sent yet is withdrawn.
///
/// # Errors
/// Those of the database.
pub async fn forget(
    platform: &Platform,
    tx: &Work,
    phone: Option<&PhoneNumber>,
    ids: &[MessageId],
) -> Result<()> {
    for status in [Status::Queued, Status::Sending, Status::Unknown] {
        let withdrawn = messages::cancel(tx, phone, ids, status).await?;
        let ways = withdrawn.into_iter().map(|kind| (kind, Some(status), Status::Cancelled));
        moves::add(tx, platform, ways).await?;
    }
    Ok(messages::forget(tx, phone, ids).await?)
}

/// How far some messages are.
///
/// # Errors
/// Those of the database.
pub async fn deliveries(
    db: &impl ConnectionTrait,
    ids: &[MessageId],
) -> Result<HashMap<MessageId, Status>> {
    Ok(messages::statuses(db, ids).await?.into_iter().collect())
}

/// Withdraws a message that waits still. One that is on its way stays so.
///
/// # Errors
/// Those of the database.
pub async fn withdraw(platform: &Platform, tx: &Work, id: MessageId) -> Result<()> {
    let waits = messages::by_id(tx, id).await?.filter(|seen| seen.status == Status::Queued);
    let Some(seen) = waits else { return Ok(()) };
    if let Some(way) = messages::shift(tx, &seen, Status::Cancelled, Change::default()).await? {
        moves::add(tx, platform, [way]).await?;
    }
    Ok(())
}
