//! How many messages are where, how fast they leave, and how the gateways do.

use std::time::Duration;

use super::entity::{gateways, messages, moves};
use super::{Kind, Messages, Status};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::jobs::POLL;

/// The time that the rate is taken over.
const RATE_OVER: Duration = Duration::from_mins(1);

/// How things are in the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// How many are where, by lane.
    pub now: Vec<(Kind, Status, i64)>,
    /// How many came to a status so far, by lane: these never go down.
    pub ever: Vec<(Kind, Status, i64)>,
    /// How long the one waits that waits longest, in each lane where one waits.
    pub oldest_queued: Vec<(Kind, Duration)>,
    /// How many a second were handed over in the last minute.
    pub per_second: f64,
    /// How the gateways do, the first one first.
    pub gateways: Vec<GatewayState>,
    /// Receipts that were forged, since this instance started.
    pub forged_receipts: u64,
    /// Receipts for messages that are not known, since this instance started.
    pub unknown_receipts: u64,
}

/// How a gateway does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayState {
    /// Its name.
    pub name: &'static str,
    /// Until when nothing is sent through it.
    pub rests_until: Option<Instant>,
    /// Since when nothing can be sent because the configuration or the account is wrong.
    pub stopped_since: Option<Instant>,
    /// What the matter is.
    pub trouble: Option<String>,
}

impl Counts {
    /// How many are in a status, in all lanes.
    pub fn of(&self, status: Status) -> i64 {
        self.now.iter().filter(|(_, it, _)| *it == status).map(|(.., count)| count).sum()
    }
}

/// The topic of the queue: its counts have changed. Each instance looks for itself, and tells its own.
pub fn topic() -> String {
    "messages".to_owned()
}

/// The topic of what the counts are made of: messages have moved, on whatever instance.
pub fn moves_topic() -> String {
    "message-moves".to_owned()
}

/// Tells every instance that messages have moved. Call it when that is committed.
pub fn moved(platform: &Platform) {
    platform.events.publish(&moves_topic());
}

/// How things are.
///
/// # Errors
/// Those of the database.
pub async fn counts(room: &Messages, platform: &Platform) -> Result<Counts> {
    let (db, at) = (platform.database.reads(), platform.now());
    let mut now = Vec::new();
    let mut ever = Vec::new();
    for moves in moves::sums(db).await? {
        add(&mut ever, moves.kind, moves.to_status, moves.count);
        add(&mut now, moves.kind, moves.to_status, moves.count);
        if let Some(from) = moves.from_status {
            add(&mut now, moves.kind, from, -moves.count);
        }
    }
    let mut oldest_queued = Vec::new();
    for kind in Kind::LANES {
        if let Some(since) = messages::oldest_queued(db, kind).await? {
            oldest_queued.push((kind, (at - since).to_std().unwrap_or_default()));
        }
    }
    let sent = moves::sent_since(db, at - RATE_OVER).await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let per_second = sent as f64 / RATE_OVER.as_secs_f64();
    Ok(Counts {
        now,
        ever,
        oldest_queued,
        per_second,
        gateways: gateway_states(room, platform).await?,
        forged_receipts: room.uncounted.forged(),
        unknown_receipts: room.uncounted.unknown(),
    })
}

/// How the gateways that are configured do.
///
/// # Errors
/// Those of the database.
pub async fn gateway_states(room: &Messages, platform: &Platform) -> Result<Vec<GatewayState>> {
    let rows = gateways::all(platform.database.reads()).await?;
    let state = |name| {
        let row = rows.iter().find(|row| row.name == name).cloned();
        let (rests_until, stopped_since, trouble) =
            row.map(|row| (row.rests_until, row.stopped_since, row.trouble)).unwrap_or_default();
        GatewayState { name, rests_until, stopped_since, trouble }
    };
    Ok(room.gateways.iter().map(|gateway| state(gateway.name())).collect())
}

/// Tells those who watch the queue, when it is not as it was last told: by this instance's doing or another's.
/// It is told once a second at most, and answers when it may be again.
///
/// # Errors
/// Those of the database.
pub async fn tell(room: &Messages, platform: &Platform) -> Result<Option<Instant>> {
    if !platform.events.is_listened_to(&topic()) {
        return Ok(None);
    }
    let told_at = room.told.lock().as_ref().map(|(at, _)| *at);
    let wait = told_at.and_then(|at| (at + POLL).checked_sub(platform.uptime()));
    if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
        return Ok(Some(platform.now() + wait));
    }
    let now = counts(room, platform).await?;
    let mut told = room.told.lock();
    if told.as_ref().is_none_or(|(_, before)| *before != now) {
        *told = Some((platform.uptime(), now));
        platform.events.publish_here(&topic());
    }
    Ok(None)
}

fn add(counts: &mut Vec<(Kind, Status, i64)>, kind: Kind, status: Status, count: i64) {
    match counts.iter_mut().find(|(k, s, _)| (*k, *s) == (kind, status)) {
        Some((.., sum)) => *sum += count,
        None => counts.push((kind, status, count)),
    }
}
