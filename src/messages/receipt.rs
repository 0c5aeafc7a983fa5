//! Receipts: gateways telling how far messages got. They may be forged, repeated, late and out of order.

use std::sync::atomic::{AtomicU64, Ordering};

use super::counts::moved;
use super::delivery::delivery_topic;
use super::entity::{early_receipts, messages};
use super::forward::forward;
use super::gateway::{About, Call, News, NotBelieved, Reason, Receipt, is_id};
use super::health::text_of;
use super::take::reference;
use super::{Kind, Message, Messages, Status};
use crate::error::{Error, Result};
use crate::ids::{self, MessageId};
use crate::platform::Platform;

const EARLY_AT_ONCE: u64 = 100;

/// Receipts that no message counts, since this instance started.
#[derive(Debug, Default)]
pub struct Uncounted {
    forged: AtomicU64,
    unknown: AtomicU64,
}

impl Uncounted {
    /// Whose signature was wrong.
    pub fn forged(&self) -> u64 {
        self.forged.load(Ordering::Relaxed)
    }

    /// Whose message is not known.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}

/// Why a receipt is not taken.
#[derive(Debug)]
pub enum Refusal {
    /// Whoever sent it is not the gateway.
    Forged,
    /// It cannot be read.
    Unreadable,
    /// It cannot be written down now. The gateway sends it again.
    Failed(Error),
}

/// Reads a receipt of a gateway and moves its message. One for a message that is not known is taken too.
///
/// # Errors
/// [`Refusal`]
pub async fn receive(
    room: &Messages,
    platform: &Platform,
    gateway: &str,
    call: &Call<'_>,
) -> Result<(), Refusal> {
    let reader = room.gateways.iter().find(|reader| reader.name() == gateway);
    let read = match reader {
        Some(reader) => reader.read_receipt(call),
        None => Err(NotBelieved::Forged("this gateway is not configured")),
    };
    let receipt = read.map_err(|error| match error {
        NotBelieved::Forged(why) => {
            let count = room.uncounted.forged.fetch_add(1, Ordering::Relaxed) + 1;
            // Anybody can send them: the log has the first, the second, the fourth, …
            if count.is_power_of_two() {
                tracing::warn!(gateway, why, count, "a forged receipt");
            }
            Refusal::Forged
        }
        NotBelieved::Unreadable(why) => {
            tracing::warn!(gateway, why, "a receipt that cannot be read");
            Refusal::Unreadable
        }
    })?;
    let is_known = take_note(platform, gateway, receipt).await.map_err(Refusal::Failed)?;
    if !is_known {
        room.uncounted.unknown.fetch_add(1, Ordering::Relaxed);
        tracing::info!(gateway, "a receipt for a message that is not known");
    }
    Ok(())
}

async fn take_note(platform: &Platform, gateway: &str, receipt: Receipt) -> Result<bool> {
    let reads = platform.database.reads();
    let about = match &receipt.about {
        About::Ours(text) => match id_of(text) {
            Some(id) => messages::by_id(reads, id).await?,
            // A gateway's own ids may begin like ours.
            None if is_id(text) => messages::by_gateway_id(reads, gateway, text).await?,
            None => None,
        },
        About::Theirs(id) if is_id(id) => messages::by_gateway_id(reads, gateway, id).await?,
        About::Theirs(_) => None,
    };
    let Some(news) = receipt.news else { return Ok(about.is_some()) };
    match (about, receipt.about) {
        (Some(message), about) => {
            if tells_of_now(&message, gateway, &about, &news)
                && news.status.before().any(|it| it == message.status)
            {
                let tx = platform.database.begin().await?;
                forward(platform, &tx, message.id, &news).await?;
                tx.commit().await?;
                moved(platform);
                if message.kind == Kind::Code {
                    platform.events.publish(&delivery_topic(message.id));
                }
            }
            Ok(true)
        }
        (None, About::Theirs(gateway_id)) if is_id(&gateway_id) => {
            let early = early_receipts::Model {
                gateway: gateway.to_owned(),
                gateway_id,
                status: news.status,
                error: news.reason.as_ref().map(text_of),
                received_at: platform.now(),
            };
            let tx = platform.database.begin().await?;
            early_receipts::keep(&tx, early).await?;
            tx.commit().await?;
            Ok(false)
        }
        (None, _) => Ok(false),
    }
}

/// Moves the messages of receipts that came before the gateway's id was written down.
///
/// # Errors
/// Those of the database.
pub async fn take_early(platform: &Platform) -> Result<()> {
    let reads = platform.database.reads();
    for receipt in early_receipts::newest(reads, EARLY_AT_ONCE).await? {
        let (gateway, gateway_id) = (&receipt.gateway, &receipt.gateway_id);
        let Some(message) = messages::by_gateway_id(reads, gateway, gateway_id).await? else {
            continue;
        };
        let reason = receipt.error.clone().map(Reason::new);
        let gateway_id = Some(receipt.gateway_id.clone());
        let news = News { status: receipt.status, reason, gateway_id };
        let tx = platform.database.begin().await?;
        forward(platform, &tx, message.id, &news).await?;
        early_receipts::take(&tx, receipt).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// What became of a message before an operator had it sent again says nothing of it now, unless it arrived.
/// The same holds for what another gateway says of it.
fn tells_of_now(message: &Message, gateway: &str, about: &About, news: &News) -> bool {
    let is_this_one = match about {
        About::Ours(text) => *text == reference(message),
        About::Theirs(_) => true,
    };
    let is_its_gateway = message.gateway.as_deref() == Some(gateway);
    (is_this_one && is_its_gateway) || news.status == Status::Delivered
}

/// The message that a reference names.
fn id_of(reference: &str) -> Option<MessageId> {
    ids::parse(reference.split_once('-').map_or(reference, |(id, _)| id))
}
