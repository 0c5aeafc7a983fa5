//! Revocations of sessions, roles and signing keys. Each is a row, written in the transaction that revokes. Every
//! instance polls the rows, so that none trusts an outdated cache for long.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::entity::revocations::{self, RevocationKind};
use crate::error::Result;
use crate::ids::{Id, SessionId, UserId};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// Every instance learns of a revocation within this time: an instance that has not polled for longer does
/// not trust its caches.
pub const MAX_STALENESS: Duration = Duration::from_secs(2);

/// A revocation of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One session.
    Session(SessionId),
    /// All sessions of a user.
    Account(UserId),
    /// A user's role: it has changed.
    Role(UserId),
    /// The set of signing keys: it has changed.
    SigningKeys,
}

impl Revocation {
    /// Reads a row. None if it lacks the subject of its kind.
    pub fn from_row(row: &revocations::Model) -> Option<Self> {
        match row.kind {
            RevocationKind::Session => row.subject_id.map(|id| Self::Session(id.into())),
            RevocationKind::Account => row.subject_id.map(|id| Self::Account(id.into())),
            RevocationKind::Role => row.subject_id.map(|id| Self::Role(id.into())),
            RevocationKind::SigningKeys => Some(Self::SigningKeys),
        }
    }
}

/// The progress of this instance in polling revocations.
pub struct RevocationPoll(Mutex<PollState>);

/// The result of the last poll.
#[derive(Clone)]
pub struct PollState {
    /// Every revocation up to this time has been read.
    pub watermark: Timestamp,
    /// The uptime at the poll.
    pub polled_at: Duration,
    /// The ids of the rows that the poll read. The next poll reads some of them again.
    pub row_ids: HashSet<Uuid>,
}

impl RevocationPoll {
    /// Starts from now: the caches of a new instance are empty, so it has missed nothing.
    pub fn new(platform: &Platform) -> Self {
        let (watermark, polled_at) = (platform.now(), platform.uptime());
        Self(Mutex::new(PollState { watermark, polled_at, row_ids: HashSet::new() }))
    }

    /// Whether the last poll is recent enough to trust the caches.
    pub fn is_current(&self, platform: &Platform) -> bool {
        self.0.lock().is_current(platform.uptime())
    }

    /// The state after the last poll.
    pub fn state(&self) -> PollState {
        self.0.lock().clone()
    }

    /// Sets the state after a poll whose revocations were applied.
    pub fn set_state(&self, state: PollState) {
        *self.0.lock() = state;
    }
}

impl PollState {
    /// Whether the poll is recent enough to trust the caches.
    pub fn is_current(&self, uptime: Duration) -> bool {
        uptime <= self.polled_at + MAX_STALENESS
    }
}

/// Writes a revocation in the transaction that revokes, and notifies all instances to poll after the commit.
pub async fn record(tx: &Work, platform: &Platform, revocation: Revocation) -> Result<()> {
    let (kind, subject) = match revocation {
        Revocation::Session(id) => (RevocationKind::Session, Some(id.uuid())),
        Revocation::Account(id) => (RevocationKind::Account, Some(id.uuid())),
        Revocation::Role(id) => (RevocationKind::Role, Some(id.uuid())),
        Revocation::SigningKeys => (RevocationKind::SigningKeys, None),
    };
    tx.publish(revocation_topic());
    Ok(revocations::insert(tx, platform.new_id::<Uuid>(), kind, subject, platform.now()).await?)
}

/// The topic of all revocations: it wakes the poll of each instance.
pub fn revocation_topic() -> String {
    "revocations".to_owned()
}
