//! Having messages sent again, by an operator's word.

use super::counts::moved;
use super::entity::messages::{self, Wanted};
use super::entity::moves;
use super::{Kind, Message, Messages, Status};
use crate::error::{At, Checked, Error, ErrorCode, Failure, Result};
use crate::ids::MessageId;
use crate::platform::Platform;

/// What may be had sent again when a filter does not say.
const FAILED: [Status; 2] = [Status::Failed, Status::Undelivered];

/// Which messages.
pub type Filter = Wanted;

/// Has one message sent again.
///
/// # Errors
/// NOT_FOUND; CONFLICT when it did not fail, is a code, or has no text any more.
pub async fn retry(room: &Messages, platform: &Platform, id: Option<MessageId>) -> Result<Message> {
    let not_found = || Error::not_found("message");
    let id = id.ok_or_else(not_found)?;
    let tx = platform.database.begin().await?;
    let message = messages::by_id(&tx, id).await?.ok_or_else(not_found)?;
    let conflict = |why: &str| Err(Error::new(ErrorCode::Conflict, why));
    if !message.status.may_be_retried() {
        return conflict("Only what is FAILED, UNDELIVERED or UNKNOWN can be sent again.");
    }
    if message.kind == Kind::Code {
        return conflict("A code is gone when it was tried. Its owner asks for a new one.");
    }
    if message.body.is_empty() {
        return conflict("The text of this message has been cleared.");
    }
    let now = platform.now();
    let expires_at = now + room.settings.wait;
    if message.created_at + room.settings.bodies_kept < expires_at {
        return conflict("The text of this message is about to be cleared.");
    }
    let retried = messages::retry_one(&tx, &message, now, expires_at).await?;
    let Some(retried) = retried else {
        return conflict("It has just moved on. Look at it again.");
    };
    moves::add(&tx, platform, [(retried.kind, Some(message.status), Status::Queued)]).await?;
    tx.commit().await?;
    room.wake.wake();
    moved(platform);
    Ok(retried)
}

/// Has every message of a filter sent again that failed; never a code. Answers how many.
///
/// # Errors
/// BAD_USER_INPUT when the filter names codes, or a status that cannot be sent again.
pub async fn retry_all(room: &Messages, platform: &Platform, mut filter: Filter) -> Result<u64> {
    let kind = match filter.kind {
        Some(Kind::Code) => Err(Failure::bad_input("Codes are never sent again.")),
        _ => Ok(()),
    };
    let status = match filter.statuses.iter().all(|status| status.may_be_retried()) {
        true => Ok(()),
        false => Err(Failure::bad_input(
            "Only what is FAILED, UNDELIVERED or UNKNOWN can be sent again.",
        )),
    };
    (kind.at("filter.kind"), status.at("filter.status")).all()?;
    if filter.statuses.is_empty() {
        filter.statuses = FAILED.to_vec();
    }
    let (now, wait) = (platform.now(), room.settings.wait);
    // Whose text would be cleared while it waits is not sent again.
    let kept_since = now + wait - room.settings.bodies_kept;
    filter.from = Some(filter.from.map_or(kept_since, |from| from.max(kept_since)));
    let (mut count, mut after) = (0, None);
    loop {
        let some = messages::retryable(platform.database.reads(), &filter, after).await?;
        let Some((last, _)) = some.last() else { return Ok(count) };
        let tx = platform.database.begin().await?;
        for status in &filter.statuses {
            let of_it = some.iter().filter(|(_, it)| it == status);
            let ids: Vec<MessageId> = of_it.map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                let lanes = messages::retry_some(&tx, &ids, *status, now, now + wait).await?;
                count += lanes.len() as u64;
                let ways = lanes.into_iter().map(|kind| (kind, Some(*status), Status::Queued));
                moves::add(&tx, platform, ways).await?;
            }
        }
        tx.commit().await?;
        room.wake.wake();
        moved(platform);
        after = Some(*last);
    }
}
