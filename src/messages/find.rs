//! Finds a message.

use super::Message;
use super::entity::messages;
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::platform::Platform;

/// Finds a message.
///
/// # Errors
/// NOT_FOUND
pub async fn find_message(platform: &Platform, id: Option<MessageId>) -> Result<Message> {
    let not_found = || Error::not_found("message");
    let id = id.ok_or_else(not_found)?;
    messages::find(platform.database.reads(), id).await?.ok_or_else(not_found)
}
