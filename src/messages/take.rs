//! Taking messages that are due: lane by lane, as fast as the gateway may be used, and never so many of one
//! lane that a code finds no place.

use std::sync::Arc;
use std::time::Duration;

use super::begins::begins;
use super::entity::messages::Due;
use super::entity::{gateways, messages, moves};
use super::gateway::{Gateway, Parcel, Reason};
use super::health::{self, Health};
use super::queue::place;
use super::{Kind, Message, Messages, Status};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::{Instant, is_waiting};
use crate::platform::database::Work;

/// How long a message that was taken is nobody else's. Longer than any gateway is waited for.
pub const LEASE: Duration = Duration::from_mins(1);
/// How much of the rate is used in one go, and how much of it may be made up for.
const PACE: Duration = Duration::from_millis(50);

/// Places of messages that are being handed over. Slow bonuses leave a quarter of them to others, notices
/// an eighth to codes.
#[derive(Clone, Debug)]
pub struct Places {
    places: usize,
    taken: [usize; Kind::LANES.len()],
}

impl Places {
    /// All free.
    pub fn of(places: usize) -> Self {
        Self { places, taken: [0; Kind::LANES.len()] }
    }

    /// One more of a lane.
    pub fn enter(&mut self, kind: Kind) {
        self.taken[kind.lane()] += 1;
    }

    /// One less.
    pub fn leave(&mut self, kind: Kind) {
        self.taken[kind.lane()] -= 1;
    }

    /// Whether not even a code finds a place.
    pub fn is_full(&self) -> bool {
        self.free(Kind::Code) == 0
    }

    /// How many more of a lane find a place.
    fn free(&self, kind: Kind) -> usize {
        let kept_free = match kind {
            Kind::Code => 0,
            Kind::Notice => self.places / 8,
            Kind::Bonus => self.places / 4,
        };
        let all: usize = self.taken.iter().sum();
        (self.places - kept_free).saturating_sub(all)
    }
}

/// A message that is marked as being handed over.
pub struct Taken {
    pub message: Message,
    pub gateway: Arc<dyn Gateway>,
    /// What to hand over, or why that cannot be read.
    pub parcel: Result<Parcel, Reason>,
}

/// Takes what is due and finds a place. Answers also when the next may be taken, where the gateway is the reason
/// for waiting.
pub async fn take(
    room: &Messages,
    platform: &Platform,
    tx: &Work,
    mut places: Places,
) -> Result<(Vec<Taken>, Option<Instant>)> {
    let now = platform.now();
    let mut all = Vec::new();
    let mut next: Option<Instant> = None;
    for gateway in &room.gateways {
        let seen = gateways::named(tx, gateway.name(), now).await?;
        match health::of(&seen, now) {
            Health::Rests { until } => {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
            Health::Tries => {
                if gateways::try_until(tx, gateway.name(), (now, LEASE), now + LEASE).await? {
                    let taken = claim(room, platform, tx, gateway, &mut places, 1).await?;
                    if taken.is_empty() {
                        gateways::try_until(tx, gateway.name(), (now + LEASE, LEASE), now).await?;
                    }
                    all.extend(taken);
                }
            }
            Health::Works => {
                let paced = book(room, tx, &seen, now).await?;
                next = paced.next;
                if paced.most > 0 {
                    let taken = claim(room, platform, tx, gateway, &mut places, paced.most).await?;
                    paced.give_back(tx, taken.len()).await?;
                    all.extend(taken);
                }
                break;
            }
        }
    }
    let ways =
        all.iter().map(|taken: &Taken| (taken.message.kind, Some(Status::Queued), Status::Sending));
    moves::add(tx, platform, ways).await?;
    Ok((all, next))
}

/// A part of the rate that was used up.
struct Paced {
    /// How many may be taken.
    most: usize,
    /// When more may.
    next: Option<Instant>,
    /// The gateway as it is booked, from which moment, and how long one message uses it.
    booked: Option<(gateways::Model, Instant, Duration)>,
}

/// Uses some of the rate up, before anything is taken, so that no two instances use the same.
async fn book(room: &Messages, tx: &Work, seen: &gateways::Model, now: Instant) -> Result<Paced> {
    let Some(rate) = room.settings.rate_per_second else {
        return Ok(Paced { most: usize::MAX, next: None, booked: None });
    };
    let none_until = |next| Paced { most: 0, next: Some(next), booked: None };
    let each = Duration::from_secs(1) / rate;
    if is_waiting(now, seen.free_at, each.max(PACE)) {
        return Ok(none_until(seen.free_at));
    }
    let most = (PACE.as_nanos() / each.as_nanos()).max(1);
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let from = seen.free_at.clamp(now - PACE, now);
    let free_at = from + each * most;
    if !gateways::book(tx, seen, free_at).await? {
        return Ok(none_until(now + PACE));
    }
    let booked = gateways::Model { free_at, ..seen.clone() };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Ok(Paced { most, next: Some(now + PACE), booked: Some((booked, from, each)) })
}

impl Paced {
    /// Returns what was not used.
    async fn give_back(self, tx: &Work, used: usize) -> Result<()> {
        if let Some((booked, from, each)) = self.booked
            && used < self.most
        {
            let used = u32::try_from(used).unwrap_or(u32::MAX);
            gateways::book(tx, &booked, from + each * used).await?;
        }
        Ok(())
    }
}

async fn claim(
    room: &Messages,
    platform: &Platform,
    tx: &Work,
    gateway: &Arc<dyn Gateway>,
    places: &mut Places,
    most: usize,
) -> Result<Vec<Taken>> {
    let mut taken = Vec::new();
    let all = room.gateways.iter().map(|gateway| gateway.name());
    let others: Vec<&str> = all.filter(|name| *name != gateway.name()).collect();
    let now = platform.now();
    let begins = begins(room, platform, tx).await?;
    for kind in Kind::LANES {
        let most = places.free(kind).min(most - taken.len());
        if most == 0 {
            continue;
        }
        let due = Due { kind, since: begins.of(kind), until: now };
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        for message in messages::claim(tx, due, most, gateway.name(), &others, LEASE).await? {
            places.enter(kind);
            let parcel = parcel(platform, &message);
            taken.push(Taken { message, gateway: gateway.clone(), parcel });
        }
    }
    Ok(taken)
}

/// What is handed over of a message.
pub fn parcel(platform: &Platform, message: &Message) -> Result<Parcel, Reason> {
    let now = platform.now();
    let body = match &message.sealed_body {
        None => message.body.clone(),
        Some(sealed) => {
            let opened = platform.vault.open(&place(message.id), sealed);
            let opened = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            opened.ok_or_else(|| Reason::new("the text cannot be opened with SECRET_KEYS"))?
        }
    };
    let validity = (message.expires_at - now).to_std().ok();
    Ok(Parcel {
        reference: reference(message),
        kind: message.kind,
        to: message.phone.clone(),
        body: body.into(),
        validity,
        handed_over_at: message.handed_over_at.unwrap_or(now),
    })
}

/// Names a message at its gateway. One that an operator has sent again is another to the gateway.
pub fn reference(message: &Message) -> String {
    match message.retries {
        0 => message.id.to_string(),
        retries => format!("{}-{retries}", message.id),
    }
}
