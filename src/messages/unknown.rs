//! Messages of which nobody knows whether their gateway took them: the gateway is asked, where it can be. One
//! that it never got is sent again; what it does not say is left to receipts, and to an operator.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::counts::moved;
use super::entity::messages::{self, Change};
use super::entity::moves;
use super::forward::forward;
use super::gateway::{Found, News};
use super::receipt::take_early;
use super::take::{LEASE, parcel};
use super::{Message, Messages, Status};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// How long after a hand-over its gateway is first asked: it may be busy with it still.
pub const FIRST_LOOK: Duration = Duration::from_mins(1);
/// How long a gateway is asked.
const ASKED_FOR: Duration = Duration::from_hours(24);
const AT_ONCE: u64 = 8;
/// How long one may be asked, page by page: not as long as nobody else asks.
const PATIENCE: Duration = Duration::from_secs(40);

/// Asks about those whose moment has come.
///
/// # Errors
/// Those of the database.
pub async fn settle_unknown(room: &Messages, platform: &Platform) -> Result<Option<Instant>> {
    take_early(platform).await?;
    if !messages::has_unknown_due(platform.database.reads(), platform.now()).await? {
        return Ok(None);
    }
    let tx = platform.database.begin().await?;
    let taken = messages::take_unknown(&tx, AT_ONCE, platform.now(), LEASE).await?;
    tx.commit().await?;
    let is_more = taken.len() as u64 == AT_ONCE;
    let mut asked: FuturesUnordered<_> = taken
        .into_iter()
        .map(async |message| (ask(room, platform, &message).await, message))
        .collect();
    while let Some((found, message)) = asked.next().await {
        write(room, platform, &message, found).await?;
    }
    Ok(is_more.then(|| platform.now()))
}

/// What its gateway says. None: it cannot be asked, and no receipt has come since it answered with an error.
async fn ask(room: &Messages, platform: &Platform, message: &Message) -> Option<Found> {
    let name = message.gateway.as_deref().unwrap_or_default();
    let Some(gateway) = room.gateways.iter().find(|gateway| gateway.name() == name) else {
        return Some(Found::NotSaid);
    };
    if !gateway.can_find() {
        return None;
    }
    let Ok(parcel) = parcel(platform, message) else { return Some(Found::NotSaid) };
    let patience = platform.clock.sleep_until(platform.now() + PATIENCE);
    Some(tokio::select! {
        found = gateway.find(&platform.outbound, &parcel) => found,
        () = patience => Found::NotSaid,
    })
}

async fn write(
    room: &Messages,
    platform: &Platform,
    message: &Message,
    found: Option<Found>,
) -> Result<()> {
    let now = platform.now();
    let tx = platform.database.begin().await?;
    let is_over = message.expires_at <= now;
    let error = message.error.clone();
    let way = match found {
        Some(Found::Known(news)) if !is_anothers(&tx, message, &news).await? => {
            forward(platform, &tx, message.id, &news).await?;
            None
        }
        Some(Found::Missing) if is_over => {
            messages::shift(&tx, message, Status::Expired, Change::default()).await?
        }
        None if is_over => {
            let change = Change { error, ..Change::default() };
            messages::shift(&tx, message, Status::Unknown, change).await?;
            None
        }
        Some(Found::Missing) | None if message.attempts >= room.settings.attempts => {
            let error = error.map(|why| format!("tried {} times; {why}", message.attempts));
            messages::shift(&tx, message, Status::Failed, Change { error, ..Change::default() })
                .await?
        }
        Some(Found::Missing) | None => {
            let change = Change { due_at: Some(now), error, ..Change::default() };
            messages::shift(&tx, message, Status::Queued, change).await?
        }
        Some(Found::Known(_) | Found::NotSaid) => {
            // Each time after as long again as it is ago.
            let ago = (now - handed_over_at(message)).to_std().unwrap_or_default();
            let is_asked_on = ago < ASKED_FOR && !is_over;
            let due_at = is_asked_on.then(|| now + ago.max(FIRST_LOOK));
            let change = Change { due_at, error, ..Change::default() };
            messages::shift(&tx, message, Status::Unknown, change).await?;
            None
        }
    };
    if is_over {
        messages::erase_code(&tx, message.id).await?;
    }
    if let Some(way) = way {
        moves::add(&tx, platform, [way]).await?;
        room.wake.wake();
    }
    tx.commit().await?;
    moved(platform);
    Ok(())
}

/// Whether what was found is another message with the same text for the same number.
async fn is_anothers(tx: &Work, message: &Message, news: &News) -> Result<bool> {
    let (Some(gateway), Some(gateway_id)) = (&message.gateway, &news.gateway_id) else {
        return Ok(false);
    };
    let owner = messages::by_gateway_id(tx, gateway, gateway_id).await?;
    Ok(owner.is_some_and(|owner| owner.id != message.id))
}

fn handed_over_at(message: &Message) -> Instant {
    message.handed_over_at.unwrap_or(message.created_at)
}
