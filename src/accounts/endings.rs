//! Endings: a session, an account's sessions, a role, a signing key's time. Each is a row, written in the
//! transaction of the deed. This instance forgets at once, the others when they read it: as they hear of it,
//! and each second.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::Accounts;
use super::entity::endings::{self, Kind};
use super::over;
use crate::error::Result;
use crate::ids::{Id, SessionId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::events::Events;

/// Within this time every instance has heard of an ending: what is remembered is trusted no longer
/// after the last reading.
pub const HEARD_WITHIN: Duration = Duration::from_secs(2);
/// Rows are read again for so long: a transaction may commit after one that began later, and the
/// clocks of two instances differ a little.
const OVERLAP: Duration = Duration::from_secs(15);

/// Something that must be trusted no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One session.
    Session(SessionId),
    /// Every session of a user.
    Account(UserId),
    /// A user's role.
    Role(UserId),
    /// A signing key's time.
    SigningKeys,
}

/// What this instance has heard of.
pub struct Endings(Mutex<Heard>);

#[derive(Clone)]
struct Heard {
    /// Until when it has heard of every ending.
    until: Instant,
    /// When that was, by the uptime of the clock.
    at: Duration,
    /// What it found in the rows that are read again.
    rows: HashSet<Uuid>,
}

impl Endings {
    /// Nothing is remembered yet, so nothing was missed.
    pub fn caught_up(platform: &Platform) -> Self {
        let (until, at) = (platform.now(), platform.uptime());
        Self(Mutex::new(Heard { until, at, rows: HashSet::new() }))
    }

    /// Whether every ending of two seconds ago has been heard of.
    pub fn are_heard(&self, platform: &Platform) -> bool {
        platform.uptime() <= self.0.lock().at + HEARD_WITHIN
    }
}

/// Writes an ending in the deed's transaction. Call [`apply`] when that is committed.
pub async fn record(tx: &Work, platform: &Platform, ending: Ending) -> Result<()> {
    let (kind, subject) = match ending {
        Ending::Session(id) => (Kind::Session, Some(id.uuid())),
        Ending::Account(id) => (Kind::Account, Some(id.uuid())),
        Ending::Role(id) => (Kind::Role, Some(id.uuid())),
        Ending::SigningKeys => (Kind::SigningKeys, None),
    };
    Ok(endings::insert(tx, platform.new_id::<Uuid>(), kind, subject, platform.now()).await?)
}

/// The topic of all endings: there is a row to read.
pub fn topic() -> String {
    "endings".to_owned()
}

/// Forgets what ended, and has the other instances read that it did.
pub async fn apply(accounts: &Accounts, platform: &Platform, ending: Ending) -> Result<()> {
    forget(accounts, platform, ending).await?;
    platform.events.publish(&topic());
    Ok(())
}

/// Forgets what ended, on this instance, and tells who has a socket open on it.
async fn forget(accounts: &Accounts, platform: &Platform, ending: Ending) -> Result<()> {
    match ending {
        Ending::Session(id) => {
            accounts.standings.forget(id);
            platform.events.publish_here(&over::session_topic(id));
        }
        Ending::Account(id) | Ending::Role(id) => {
            accounts.standings.forget_user(id);
            platform.events.publish_here(&over::user_topic(id));
        }
        Ending::SigningKeys => {
            accounts.signing_keys.reload(platform).await?;
        }
    }
    Ok(())
}

/// Reads what other instances wrote since the last time. After a gap everything is forgotten.
pub async fn catch_up(accounts: &Accounts, platform: &Platform) -> Result<()> {
    let (now, uptime) = (platform.now(), platform.uptime());
    let heard = accounts.endings.0.lock().clone();
    // The clock may have been set back since.
    let since = heard.until.min(now) - OVERLAP;
    let rows = endings::since(platform.database.reads(), since).await?;
    if uptime > heard.at + HEARD_WITHIN {
        accounts.standings.forget_all();
        platform.events.publish_all();
        accounts.signing_keys.reload(platform).await?;
    }
    for ending in rows.iter().filter(|row| !heard.rows.contains(&row.id)).filter_map(read) {
        forget(accounts, platform, ending).await?;
        if let Ending::Account(user) = ending {
            tokio::spawn(acknowledge(platform.events.clone(), user));
        }
    }
    let rows = rows.iter().map(|row| row.id).collect();
    *accounts.endings.0.lock() = Heard { until: now, at: uptime, rows };
    Ok(())
}

/// Tells the instance where somebody's sessions were ended when no socket of theirs is open here any more.
async fn acknowledge(events: Events, user: UserId) {
    events.deserted(&over::user_topic(user)).await;
    events.publish_there(&closed_topic(user));
}

/// The topic of the instances that have closed whatever somebody had open there.
fn closed_topic(user: UserId) -> String {
    format!("closed:{user}")
}

/// Ends when every other instance has closed what somebody had open there. As long as Redis is out of reach
/// nobody knows, and it does not end.
pub async fn closed_elsewhere(platform: &Platform, user: UserId) {
    let mut closed = platform.events.listen(closed_topic(user));
    let others = platform.events.heard_by(&topic()).await;
    while closed.changes() < others {
        closed.changed().await;
    }
}

fn read(row: &endings::Model) -> Option<Ending> {
    match row.kind {
        Kind::Session => row.subject.map(|id| Ending::Session(id.into())),
        Kind::Account => row.subject.map(|id| Ending::Account(id.into())),
        Kind::Role => row.subject.map(|id| Ending::Role(id.into())),
        Kind::SigningKeys => Some(Ending::SigningKeys),
    }
}
