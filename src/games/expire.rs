//! Ending rounds that were not played in time. They stay, and show their seeds.

use super::entity::rounds;
use super::play::open;
use super::start::place;
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
    let Some(turn) = take_turn(platform, NAME).await? else { return Ok(None) };
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
    let tx = platform.database.begin().await?;
    for round in &overdue {
        // One that cannot be opened, because its key is gone, is over all the same.
        let seed = open(platform, round).inspect_err(crate::error::Error::log).ok();
        rounds::set_expired(&tx, round.id, seed.map(|seed| seed.to_vec())).await?;
    }
    tx.commit().await?;
    Ok(overdue.len() as u64)
}

/// Moves every sealed seed to the first key. Answers how many were moved.
///
/// # Errors
/// When one cannot be opened: the ring lacks its key.
pub async fn reseal(platform: &Platform) -> Result<usize> {
    let tx = platform.database.begin().await?;
    let mut moved = 0;
    for (id, sealed) in rounds::sealed(&tx).await? {
        if !platform.vault.is_current(&sealed) {
            let seed = platform.vault.open(&place(id), &sealed)?;
            let anew = platform.vault.seal(&place(id), &seed);
            moved += usize::from(rounds::seal_anew(&tx, id, sealed, anew).await?);
        }
    }
    tx.commit().await?;
    Ok(moved)
}
