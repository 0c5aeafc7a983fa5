//! Messages whose next moment was set before the clock was set back: they are brought forward, so that none waits
//! for longer than it was meant to.

use super::entity::messages::{self, CHUNK, Latest};
use super::settle::RETRY;
use super::take::LEASE;
use super::unknown::FIRST_LOOK;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::MAX_SKEW;

/// Brings forward what is due later than anything that is put off now.
pub async fn bring_forward(platform: &Platform) -> Result<()> {
    loop {
        let now = platform.now();
        let latest = Latest {
            happened: now + MAX_SKEW,
            queued: now + RETRY.longest + MAX_SKEW,
            // A sender may be at work: its lease begins anew.
            sending: now + LEASE,
            unknown: now + FIRST_LOOK,
        };
        if !messages::is_any_later(platform.database.reads(), latest).await? {
            return Ok(());
        }
        let tx = platform.database.begin().await?;
        let brought = messages::bring_forward(&tx, latest, now).await?;
        tx.commit().await?;
        tracing::warn!(messages = brought, "the clock was set back: messages are due sooner");
        if brought < CHUNK {
            return Ok(());
        }
    }
}
