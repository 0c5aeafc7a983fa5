//! Dropping rows that nobody needs any more: endings that every instance has heard of, sessions that have
//! long been over.

use std::time::Duration;

use super::Accounts;
use super::entity::{endings, sessions};
use crate::error::Result;
use crate::platform::Platform;

const EACH: Duration = Duration::from_mins(10);

/// Sweeps, unless this instance has done so just now.
pub async fn if_due(accounts: &Accounts, platform: &Platform) -> Result<()> {
    let now = platform.now();
    if now < *accounts.swept.lock() + EACH {
        return Ok(());
    }
    // Before it is done: what fails is tried again next time, not at once.
    *accounts.swept.lock() = now;
    let tx = platform.database.begin().await?;
    endings::sweep(&tx, now).await?;
    sessions::sweep(&tx, now).await?;
    tx.commit().await?;
    Ok(())
}
