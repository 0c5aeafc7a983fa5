//! Ending rounds that were not played in time. They stay, and show their seeds.

use super::entity::rounds;
use super::seal::shown_at_the_end;
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::jobs::take_turn;

const NAME: &str = "games.expire";
const EACH: std::time::Duration = std::time::Duration::from_secs(10);
const AT_ONCE: u64 = 500;

/// Ends what is overdue, when it is this instance's turn.
///
/// # Errors
/// Those of the database.
pub async fn expire_due(platform: &Platform) -> Result<Option<Instant>> {
    let Some(turn) = take_turn(platform, NAME, EACH).await? else { return Ok(None) };
    while expire(platform, None).await? == AT_ONCE {}
    let tx = platform.database.begin().await?;
    turn.end(&tx, None, platform.now() + EACH).await?;
    tx.commit().await?;
    Ok(None)
}

/// Ends what is overdue of somebody, or some of what is of anybody. Answers how many rounds.
///
/// # Errors
/// Those of the database.
pub async fn expire(platform: &Platform, of: Option<UserId>) -> Result<u64> {
    let db = platform.database.reads();
    let overdue = rounds::overdue(db, of, platform.now(), AT_ONCE).await?;
    if overdue.is_empty() {
        return Ok(0);
    }
    // One by one: a transaction would hold some and wait for others, as a deletion does.
    let db = platform.database.writes();
    for round in &overdue {
        rounds::set_expired(db, round.id, shown_at_the_end(platform, round)).await?;
    }
    Ok(overdue.len() as u64)
}
