//! Synchronization of revocations: polls those of other instances, and applies all of them to the caches and the open
//! sockets and streams of this instance.

use std::time::Duration;

use super::Accounts;
use super::entity::revocations;
use super::revocations::{PollState, Revocation, revocation_topic};
use super::session_watch::{session_topic, user_topic};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::events::Events;

/// Each poll reads this much of the past again: a transaction may commit after one that began later, and the clocks of
/// two instances differ a little.
const POLL_OVERLAP: Duration = Duration::from_secs(15);

/// Applies a committed revocation on this instance, and notifies the others to poll.
pub async fn invalidate(
    accounts: &Accounts,
    platform: &Platform,
    revocation: Revocation,
) -> Result<()> {
    invalidate_locally(accounts, platform, revocation).await?;
    platform.events.publish(&revocation_topic());
    Ok(())
}

async fn invalidate_locally(
    accounts: &Accounts,
    platform: &Platform,
    revocation: Revocation,
) -> Result<()> {
    match revocation {
        Revocation::Session(id) => {
            accounts.session_cache.invalidate(id);
            platform.events.publish_local(&session_topic(id));
        }
        Revocation::Account(id) | Revocation::Role(id) => {
            accounts.session_cache.invalidate_user(id);
            platform.events.publish_local(&user_topic(id));
        }
        Revocation::SigningKeys => {
            accounts.signing_keys.reload(platform).await?;
        }
    }
    Ok(())
}

/// Reads and applies the revocations of other instances. Called when another instance publishes one, and each
/// second. If the last poll is too long ago, the caches are cleared.
///
/// While the database is unreachable this fails, and the caches are not trusted.
pub async fn poll_revocations(accounts: &Accounts, platform: &Platform) -> Result<()> {
    let (now, uptime) = (platform.now(), platform.uptime());
    let last_poll = accounts.revocation_poll.state();
    // The clock may have been set back since the last poll.
    let start = last_poll.watermark.min(now) - POLL_OVERLAP;
    let rows = revocations::find_revoked_after(platform.database.reads(), start).await?;
    if !last_poll.is_current(uptime) {
        accounts.session_cache.clear();
        platform.events.publish_all_local();
        accounts.signing_keys.reload(platform).await?;
    }
    let new_rows = rows.iter().filter(|row| !last_poll.row_ids.contains(&row.id));
    for revocation in new_rows.filter_map(Revocation::from_row) {
        invalidate_locally(accounts, platform, revocation).await?;
        if let Revocation::Account(user) = revocation {
            tokio::spawn(confirm_closed(platform.events.clone(), user));
        }
    }
    let row_ids = rows.iter().map(|row| row.id).collect();
    accounts.revocation_poll.set_state(PollState { watermark: now, polled_at: uptime, row_ids });
    Ok(())
}

/// Waits until this instance has no open socket or stream of a user, and notifies the other instances.
async fn confirm_closed(events: Events, user: UserId) {
    events.wait_until_no_listeners(&user_topic(user)).await;
    events.publish_remote(&closed_topic(user));
}

/// The topic on which instances confirm that they have closed all sockets and streams of a user.
fn closed_topic(user: UserId) -> String {
    format!("closed:{user}")
}

/// Notifies the other instances to poll, and waits until all of them have closed the sockets and streams of a user.
/// Without Redis that is unknown, and this never returns.
pub async fn close_elsewhere(platform: &Platform, user: UserId) {
    let mut closed = platform.events.listen(closed_topic(user));
    let instances = platform.events.publish_counted(&revocation_topic()).await;
    while closed.version() < instances {
        closed.changed().await;
    }
}
