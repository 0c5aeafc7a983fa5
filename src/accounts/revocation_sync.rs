//! Synchronization of revocations: polls those of other instances, and applies all of them to the caches and the open
//! sockets and streams of this instance.

use std::time::Duration;

use super::Accounts;
use super::entity::revocations;
use super::revocations::{PollState, Revocation, record, revocation_topic};
use super::session_watch::{session_topic, user_topic};
use crate::error::Result;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::database::Work;
use crate::platform::events::{Events, Listener};

/// Each poll reads this much of the past again: a transaction may commit after one that began later, and the clocks of
/// two instances differ a little.
const POLL_OVERLAP: Duration = Duration::from_secs(15);

/// Writes a revocation in the transaction that revokes. After the commit it is applied on this instance, and the others
/// poll.
pub async fn revoke(
    accounts: &Accounts,
    platform: &Platform,
    tx: &Work,
    revocation: Revocation,
) -> Result<()> {
    record(tx, platform, revocation).await?;
    let cache = accounts.session_cache.clone();
    match revocation {
        Revocation::Session(id) => {
            tx.invalidate(move || cache.invalidate(id));
            tx.publish_local(session_topic(id));
        }
        Revocation::Account(id) | Revocation::Role(id) => {
            tx.invalidate(move || cache.invalidate_user(id));
            tx.publish_local(user_topic(id));
        }
        // The poll reloads the keys.
        Revocation::SigningKeys => {}
    }
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

/// The confirmations of other instances that they have closed all sockets and streams of a user.
pub struct ClosedElsewhere(Listener);

impl ClosedElsewhere {
    /// Listens for confirmations. To be called before the commit of the revocation.
    pub fn listen(platform: &Platform, user: UserId) -> Self {
        Self(platform.events.listen(closed_topic(user)))
    }

    /// Notifies the other instances to poll, and waits until all of them have confirmed. Without Redis that is unknown,
    /// and this never returns.
    pub async fn wait(mut self, platform: &Platform) {
        let instances = platform.events.publish_counted(&revocation_topic()).await;
        while self.0.version() < instances {
            self.0.changed().await;
        }
    }
}
