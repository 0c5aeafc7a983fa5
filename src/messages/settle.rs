//! Writing down what became of messages that were handed over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::entity::messages::{self, Change};
use super::entity::{gateways, moves};
use super::forward::forward;
use super::gateway::{Gateway, News, Outcome, Reason, is_id};
use super::health::{self, text_of};
use super::unknown::FIRST_LOOK;
use super::{Message, Messages, Status};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;
use crate::platform::jobs::Backoff;

/// How long a message waits that its gateway did not take.
pub const RETRY: Backoff =
    Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(10) };

/// How long a receipt may take to tell that a message was taken, in spite of the error that was answered.
pub const RECEIPTS_COME_WITHIN: Duration = Duration::from_secs(5);

/// A message that was handed over, and what became of it.
pub struct Done {
    /// As it was when it was taken.
    pub message: Message,
    pub gateway: Arc<dyn Gateway>,
    pub outcome: Outcome,
    /// Whether the gateway was asked at all.
    pub was_handed_over: bool,
    /// When it was known, by the uptime of the clock.
    pub at: Duration,
}

/// Writes it all down.
pub async fn write(room: &Messages, platform: &Platform, tx: &Work, done: &[Done]) -> Result<()> {
    let mut at_gateway: BTreeMap<&str, Vec<&Done>> = BTreeMap::new();
    for done in done {
        at_gateway.entry(done.gateway.name()).or_default().push(done);
    }
    for (name, done) in at_gateway {
        let gateway = health::learn(room, platform, tx, name, &done).await?;
        write_accepted(platform, tx, &done).await?;
        for done in done {
            write_other(room, platform, tx, &gateway, done).await?;
        }
    }
    Ok(())
}

/// What went well is written in one statement for many.
async fn write_accepted(platform: &Platform, tx: &Work, done: &[&Done]) -> Result<()> {
    let accepted: Vec<(&Message, Option<String>)> = done
        .iter()
        .filter_map(|done| match &done.outcome {
            Outcome::Accepted { gateway_id } => {
                Some((&done.message, gateway_id.clone().filter(|id| is_id(id))))
            }
            _ => None,
        })
        .collect();
    let sent = messages::mark_sent(tx, &accepted, platform.now()).await?;
    let is_sent = |done: &&&Done| sent.contains(&done.message.id);
    let ways = done
        .iter()
        .filter(is_sent)
        .map(|done| (done.message.kind, Some(Status::Sending), Status::Sent));
    moves::add(tx, platform, ways).await?;
    for (message, gateway_id) in accepted {
        if !sent.contains(&message.id) {
            // Its lease was over, or a receipt was quicker.
            let news = News { status: Status::Sent, reason: None, gateway_id };
            forward(platform, tx, message.id, &news).await?;
        }
    }
    Ok(())
}

async fn write_other(
    room: &Messages,
    platform: &Platform,
    tx: &Work,
    gateway: &gateways::Model,
    done: &Done,
) -> Result<()> {
    let message = &done.message;
    let now = platform.now();
    let (to, change) = match &done.outcome {
        Outcome::Accepted { .. } => return Ok(()),
        Outcome::Refused(reason) => {
            (Status::Failed, Change { error: Some(text_of(reason)), ..Change::default() })
        }
        Outcome::OutOfReach(reason) => again(message, reason, now),
        // Others go first, lest one that alone meets this always holds them up.
        Outcome::NotNow { reason, .. } | Outcome::Misconfigured(reason) => {
            again(message, reason, now + wait_by_age(platform, message))
        }
        Outcome::Unclear { reason, is_error } => {
            unclear(room, platform, gateway, done, reason, *is_error)
        }
    };
    match messages::shift(tx, message, to, change).await? {
        Some(way) => moves::add(tx, platform, [way]).await?,
        None => {
            if let Outcome::Refused(reason) = &done.outcome {
                let news = News { status: to, reason: Some(reason.clone()), gateway_id: None };
                forward(platform, tx, message.id, &news).await?;
            }
        }
    }
    Ok(())
}

/// What would have met any message is no attempt at this one.
fn again(message: &Message, reason: &Reason, due_at: Instant) -> (Status, Change) {
    let (error, attempts) = (Some(text_of(reason)), Some(message.attempts - 1));
    (Status::Queued, Change { due_at: Some(due_at), error, attempts, ..Change::default() })
}

/// A message that its gateway may have. What settles it is a receipt, or the gateway's word. One that was
/// answered with an error is taken for missing when neither has come after a while.
fn unclear(
    room: &Messages,
    platform: &Platform,
    gateway: &gateways::Model,
    done: &Done,
    reason: &Reason,
    is_error: bool,
) -> (Status, Change) {
    let (message, now) = (&done.message, platform.now());
    let is_down = health::is_down(gateway);
    let may_have_it_twice = done.gateway.is_idempotent();
    let is_last = message.attempts >= room.settings.attempts && !is_down;
    if is_last && is_error && !done.gateway.can_find() {
        let error = format!("tried {} times; {}", message.attempts, text_of(reason));
        return (Status::Failed, Change { error: Some(error), ..Change::default() });
    }
    let wait = RETRY.delay(message.attempts.unsigned_abs(), platform);
    let wait = wait.max(wait_by_age(platform, message));
    let (to, due_at) = match () {
        () if may_have_it_twice && !is_last => (Status::Queued, now + wait),
        () if done.gateway.can_find() => (Status::Unknown, now + FIRST_LOOK),
        // Each time may be another SMS: while all fail alike, others try whether it goes on.
        () if is_error && is_down => (Status::Unknown, now + RETRY.longest),
        () if is_error => (Status::Unknown, now + wait.max(RECEIPTS_COME_WITHIN)),
        () => (Status::Unknown, message.expires_at),
    };
    let attempts = is_down.then_some(message.attempts - 1);
    let (due_at, error) = (Some(due_at), Some(text_of(reason)));
    let bound_to = Some(done.gateway.name().to_owned());
    (to, Change { due_at, error, attempts, bound_to, ..Change::default() })
}

/// The longer it has waited, the longer it waits again.
fn wait_by_age(platform: &Platform, message: &Message) -> Duration {
    let age = (platform.now() - message.queued_at).to_std().unwrap_or_default();
    Backoff { first: age / 2, longest: RETRY.longest }.delay(1, platform)
}
