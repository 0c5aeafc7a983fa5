//! What is kept how long: texts of messages are cleared after a time, the rows with their numbers stay; moves
//! are added up.

use std::time::Duration;

use super::Messages;
use super::entity::{early_receipts, messages, moves};
use crate::error::Result;
use crate::ids::{self, MessageId};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::BATCH_LIMIT;
use crate::platform::jobs::take_turn;

const NAME: &str = "messages.retention";
/// How often moves are added up.
const EACH: Duration = Duration::from_secs(10);
const FOLDED_AT_ONCE: u64 = 2_000;
/// How long moves stay by themselves: a little longer than the time that a rate is taken over.
const APART: Duration = Duration::from_secs(70);

/// Takes the turn, when it is due.
///
/// # Errors
/// Those of the database.
pub async fn tidy(room: &Messages, platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, NAME, EACH).await? else { return Ok(None) };
    let now = platform.now();
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    let folded = moves::fold(&tx, platform, now - APART, FOLDED_AT_ONCE).await?;
    early_receipts::sweep(&tx, now).await?;
    let after = turn.watermark.as_deref().and_then(ids::parse::<MessageId>);
    let cleared = messages::clear_bodies(&tx, after, now - room.settings.bodies_kept).await?;
    let is_more = cleared.is_some() || folded == FOLDED_AT_ONCE;
    let due = if is_more { now } else { now + EACH };
    let watermark = cleared.or(after).map(|id| id.to_string());
    turn.end(&tx, watermark, due).await?;
    tx.commit().await?;
    Ok(Some(due))
}
