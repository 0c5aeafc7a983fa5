//! Rescheduling of messages whose due time is later than possible, because it was set before the clock was set back.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, ExprTrait, QuerySelect};

use super::claim::build_claimed_update;
use super::{BATCH_SIZE, Column, Entity, has_status};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// The latest possible times.
#[derive(Clone, Copy, Debug)]
pub struct LatestDueTimes {
    /// A time in the past, such as the one of an attempt.
    pub past_event: Timestamp,
    /// The due time of a QUEUED message.
    pub queued: Timestamp,
    /// The end of the lease of a SENDING message.
    pub sending: Timestamp,
    /// The next reconciliation of an UNKNOWN message whose attempt was just now.
    pub unknown: Timestamp,
}

/// Whether any message is due later than possible.
pub async fn has_due_later_than(
    db: &impl ConnectionTrait,
    latest: LatestDueTimes,
) -> Result<bool, DbErr> {
    let due_later = Condition::any()
        .add(late_queued(latest))
        .add(late_sending(latest))
        .add(late_unknown(latest));
    let ids = Entity::find().filter(due_later).select_only().column(Column::Id);
    Ok(ids.into_tuple::<MessageId>().one(db).await?.is_some())
}

/// Reschedules a batch of each status: QUEUED messages to now, others to the latest possible time. Returns how many.
pub async fn reschedule(tx: &Work, latest: LatestDueTimes, now: Timestamp) -> Result<u64, DbErr> {
    let mut rescheduled = 0;
    for (status, due_later, due_at) in [
        (Status::Queued, late_queued(latest), now),
        (Status::Sending, late_sending(latest), latest.sending),
        (Status::Unknown, late_unknown(latest), latest.unknown),
    ] {
        let update = build_claimed_update(Entity::find().filter(due_later), BATCH_SIZE, status);
        let update = update.col_expr(Column::DueAt, Expr::value(due_at));
        rescheduled += update.exec(tx).await?.rows_affected;
    }
    Ok(rescheduled)
}

/// A message without an attempt is due when it is queued; others after a delay.
fn late_queued(latest: LatestDueTimes) -> Condition {
    let is_too_late = Condition::any()
        .add(Column::AttemptedAt.is_null())
        .add(Column::AttemptedAt.gt(latest.past_event))
        .add(Column::DueAt.gt(latest.queued));
    due_after(Status::Queued, latest.past_event).add(is_too_late)
}

fn late_sending(latest: LatestDueTimes) -> Condition {
    due_after(Status::Sending, latest.sending).add(Column::AttemptedAt.gt(latest.past_event))
}

/// Leaves out messages that wait for a receipt until they expire.
fn late_unknown(latest: LatestDueTimes) -> Condition {
    due_after(Status::Unknown, latest.unknown)
        .add(Column::AttemptedAt.gt(latest.past_event))
        .add(Expr::col(Column::DueAt).ne(Expr::col(Column::ExpiresAt)))
}

/// One condition per lane, so that the index is used.
fn due_after(status: Status, time: Timestamp) -> Condition {
    let lanes = Kind::LANES.iter().fold(Condition::any(), |lanes, kind| {
        lanes.add(Condition::all().add(Column::Kind.eq(*kind)).add(Column::DueAt.gt(time)))
    });
    Condition::all().add(has_status(status)).add(lanes)
}
