//! Removing the boards of days, weeks and months that have long been over.

use std::time::Duration;

use super::board::Period;
use super::entity::{board_blocks, board_places, board_state};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::BATCH_LIMIT;
use crate::platform::jobs::take_turn;

const NAME: &str = "games.sweep";
const EACH: Duration = Duration::from_mins(10);
/// How long a board stays after its period, for rounds that come to it late.
const KEPT: Duration = Duration::from_hours(7 * 24);
const AT_ONCE: u64 = 1_000;

/// Removes some of what is over, when it is this instance's turn.
///
/// # Errors
/// Those of the database.
pub async fn sweep(platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, NAME, EACH).await? else { return Ok(None) };
    let now = platform.now();
    let tx = platform.database.begin_within(BATCH_LIMIT).await?;
    board_state::lock(&tx).await?;
    let mut is_more = false;
    for period in Period::ALL {
        // The one that goes on then, and those that came after it, stay.
        let (from, to) = (format!("{}:", period.name()), period.key(now - KEPT));
        let removed = board_places::sweep(&tx, &from, &to, AT_ONCE).await?;
        match removed == AT_ONCE {
            true => is_more = true,
            false => board_blocks::sweep(&tx, &from, &to).await?,
        }
    }
    let due = if is_more { now } else { now + EACH };
    turn.end(&tx, None, due).await?;
    tx.commit().await?;
    Ok(Some(due))
}
