//! Current statuses of single messages, for the modules that queued them.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::Status;
use super::entity::messages;
use crate::error::Result;
use crate::ids::MessageId;

/// Loads the statuses of these messages.
pub async fn load_statuses(
    db: &impl ConnectionTrait,
    ids: &[MessageId],
) -> Result<HashMap<MessageId, Status>> {
    Ok(messages::find_statuses(db, ids).await?.into_iter().collect())
}
