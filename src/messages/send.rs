//! Sending: messages are marked and handed over, many at a time, and marked again by what became of it.
//!
//! A mark is committed before the hand-over it is for. So a crash leaves messages in SENDING, which turn
//! UNKNOWN when their lease is over, and none that was sent looks as if it had not been.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::counts::moved;
use super::delivery::delivery_topic;
use super::entity::messages;
use super::gateway::{BOUNDS, Outcome, Reason};
use super::health;
use super::settle::{self, Done};
use super::take::{self, LEASE, Places, Taken};
use super::{Kind, Messages};
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::jobs::POLL;

/// Sends what is due, until nothing is and everything that was handed over is answered for. Answers when
/// the next is due, where it is the gateways that make us wait.
///
/// # Errors
/// Those of the database.
pub async fn send_due(
    room: &Messages,
    platform: &Arc<Platform>,
    stopping: &CancellationToken,
) -> Result<Option<Instant>> {
    if !messages::has_queued_due(platform.database.reads(), platform.now()).await? {
        return Ok(None);
    }
    if !room.has_started.swap(true, Ordering::Relaxed) {
        health::start(room, platform).await?;
    }
    let mut places = Places::of(room.settings.parallel);
    let mut flights = JoinSet::new();
    let mut done: Vec<Done> = Vec::new();
    loop {
        let stops = stopping.is_cancelled();
        let turn = one_turn(room, platform, &done, (!stops).then_some(&places)).await;
        let next = match turn {
            Ok((taken, next)) => {
                done.drain(..).for_each(|done| places.leave(done.message.kind));
                for taken in taken {
                    places.enter(taken.message.kind);
                    flights.spawn(hand_over(platform.clone(), taken));
                }
                next
            }
            Err(error) if flights.is_empty() && done.is_empty() => return Err(error),
            Err(error) => {
                error.log();
                // What is not written down by then has turned UNKNOWN.
                done.retain(|done| {
                    platform.uptime() < done.at + LEASE || {
                        places.leave(done.message.kind);
                        false
                    }
                });
                Some(platform.now() + POLL)
            }
        };
        if flights.is_empty() && done.is_empty() {
            return Ok(next);
        }
        let has_room = !stops && !places.is_full();
        let next = next.unwrap_or(platform.now() + POLL).min(platform.now() + POLL);
        tokio::select! {
            Some(landed) = flights.join_next() => done.push(landed.expect("hand_over catches panics")),
            () = room.wake.woken(), if has_room => {}
            () = platform.clock.sleep_until(next), if has_room || !done.is_empty() => {}
            () = stopping.cancelled(), if !stops => {}
        }
        while let Some(landed) = flights.try_join_next() {
            done.push(landed.expect("hand_over catches panics"));
        }
    }
}

/// Writes down what became of some, and takes others, in one transaction.
async fn one_turn(
    room: &Messages,
    platform: &Platform,
    done: &[Done],
    places: Option<&Places>,
) -> Result<(Vec<Taken>, Option<Instant>)> {
    let tx = platform.database.begin().await?;
    let mut places = places.cloned();
    for done in done {
        if let Some(places) = &mut places {
            places.leave(done.message.kind);
        }
    }
    settle::write(room, platform, &tx, done).await?;
    let taken = match places {
        Some(places) => take::take(room, platform, &tx, places).await?,
        None => (Vec::new(), None),
    };
    tx.commit().await?;
    for done in done.iter().filter(|done| done.message.kind == Kind::Code) {
        platform.events.publish(&delivery_topic(done.message.id));
    }
    if !done.is_empty() || !taken.0.is_empty() {
        moved(platform);
    }
    Ok(taken)
}

async fn hand_over(platform: Arc<Platform>, taken: Taken) -> Done {
    let Taken { message, gateway, parcel } = taken;
    // Who was held up until the lease is almost over does not know whose the message is by then.
    let last = platform.now() + BOUNDS.timeout;
    let is_late = message.due_at.is_none_or(|lease_ends| lease_ends <= last);
    let was_handed_over = parcel.is_ok() && !is_late;
    let outcome = match parcel {
        Ok(_) if is_late => Outcome::OutOfReach(Reason::new("the sender was held up")),
        Ok(parcel) => {
            let sending = AssertUnwindSafe(gateway.send(&platform.outbound, &parcel));
            let panicked = |_| Outcome::Unclear {
                reason: Reason::new("handing it over panicked"),
                is_error: false,
            };
            sending.catch_unwind().await.unwrap_or_else(panicked)
        }
        Err(reason) => Outcome::Refused(reason),
    };
    Done { message, gateway, outcome, was_handed_over, at: platform.uptime() }
}
