//! Manual retries of failed messages by operators.

use super::entity::messages::{self, MessageFilter};
use super::entity::transitions::{self, Transition};
use super::{Kind, Message, Messages, Status};
use crate::error::{CollectErrors, Error, ErrorCode, ForField, Result, UserError};
use crate::ids::MessageId;
use crate::platform::Platform;

/// The statuses that are retried if the filter names none.
const DEFAULT_STATUSES: [Status; 2] = [Status::Failed, Status::Undelivered];

/// Queues one failed message again.
///
/// # Errors
/// NOT_FOUND; CONFLICT if it did not fail, is a code, or its text is cleared before it would expire.
pub async fn retry(
    messages: &Messages,
    platform: &Platform,
    id: Option<MessageId>,
) -> Result<Message> {
    let not_found = || Error::not_found("message");
    let id = id.ok_or_else(not_found)?;
    let tx = platform.begin().await?;
    let message = messages::find(&tx, id).await?.ok_or_else(not_found)?;
    let conflict = |text: &str| Err(Error::new(ErrorCode::Conflict, text));
    if !message.status.is_retryable() {
        return conflict("Only what is FAILED, UNDELIVERED or UNKNOWN can be sent again.");
    }
    if message.kind == Kind::Code {
        return conflict("A code is gone when it was tried. Its owner asks for a new one.");
    }
    if message.body.is_empty() {
        return conflict("The text of this message has been cleared.");
    }
    let now = platform.now();
    let expires_at = now + messages.settings.max_wait;
    if message.created_at + messages.settings.body_retention < expires_at {
        return conflict("The text of this message is about to be cleared.");
    }
    let retried = messages::retry_one(&tx, &message, now, expires_at).await?;
    let Some(retried) = retried else {
        return conflict("It has just moved on. Look at it again.");
    };
    let transition = Transition::new(&message, Some(message.status), Status::Queued, now);
    transitions::record(&tx, platform, [transition]).await?;
    tx.notify(&messages.notifier);
    tx.commit().await?;
    Ok(retried)
}

/// Queues all failed messages again that match a filter, except codes. Returns how many.
///
/// # Errors
/// BAD_USER_INPUT if the filter names codes, or a status that cannot be retried.
pub async fn retry_all(
    messages: &Messages,
    platform: &Platform,
    mut filter: MessageFilter,
) -> Result<u64> {
    let kind = match filter.kind {
        Some(Kind::Code) => Err(UserError::bad_input("Codes are never sent again.")),
        _ => Ok(()),
    };
    let status = match filter.statuses.iter().all(|status| status.is_retryable()) {
        true => Ok(()),
        false => Err(UserError::bad_input(
            "Only what is FAILED, UNDELIVERED or UNKNOWN can be sent again.",
        )),
    };
    (kind.for_field("filter.kind"), status.for_field("filter.status")).collect_errors()?;
    if filter.statuses.is_empty() {
        filter.statuses = DEFAULT_STATUSES.to_vec();
    }
    let (now, max_wait) = (platform.now(), messages.settings.max_wait);
    // Skip messages whose text would be cleared while they wait.
    let min_created_at = now + max_wait - messages.settings.body_retention;
    filter.from = Some(filter.from.map_or(min_created_at, |from| from.max(min_created_at)));
    let (mut count, mut after) = (0, None);
    loop {
        let batch = messages::find_retryable(platform.database.reads(), &filter, after).await?;
        let Some((last_id, _)) = batch.last() else { return Ok(count) };
        let tx = platform.begin().await?;
        for status in &filter.statuses {
            let with_status = batch.iter().filter(|(_, current_status)| current_status == status);
            let ids: Vec<MessageId> = with_status.map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                let retried = messages::retry_many(&tx, &ids, *status, now, now + max_wait).await?;
                count += retried.len() as u64;
                let to_queued = retried
                    .iter()
                    .map(|message| Transition::new(message, Some(*status), Status::Queued, now));
                transitions::record(&tx, platform, to_queued).await?;
            }
        }
        tx.notify(&messages.notifier);
        tx.commit().await?;
        after = Some(*last_id);
    }
}
