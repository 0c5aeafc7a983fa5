//! Messages that are due later than anything that is put off now: the clock was set back since.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, ExprTrait, QuerySelect};

use super::{CHUNK, Column, Entity, is, marked_by};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// The latest moments that there may be.
#[derive(Clone, Copy, Debug)]
pub struct Latest {
    /// When something has happened.
    pub happened: Instant,
    /// When one that waits is due.
    pub queued: Instant,
    /// When the lease of one is over that is being handed over.
    pub sending: Instant,
    /// When one of unknown fate is looked at, which was handed over just now.
    pub unknown: Instant,
}

/// Whether any is due later.
pub async fn is_any_later(db: &impl ConnectionTrait, latest: Latest) -> Result<bool, DbErr> {
    let any = Condition::any().add(queued(latest)).add(sending(latest)).add(unknown(latest));
    let one = Entity::find().filter(any).select_only().column(Column::Id);
    Ok(one.into_tuple::<MessageId>().one(db).await?.is_some())
}

/// Brings some of each status forward: those that wait are due now, the others at the latest that may be. Answers how
/// many.
pub async fn bring_forward(tx: &Work, latest: Latest, now: Instant) -> Result<u64, DbErr> {
    let mut brought = 0;
    for (status, later, to) in [
        (Status::Queued, queued(latest), now),
        (Status::Sending, sending(latest), latest.sending),
        (Status::Unknown, unknown(latest), latest.unknown),
    ] {
        let some = marked_by(Entity::find().filter(later), CHUNK, status);
        brought += some.col_expr(Column::DueAt, Expr::value(to)).exec(tx).await?.rows_affected;
    }
    Ok(brought)
}

/// One that was never handed over is due when it is queued.
fn queued(latest: Latest) -> Condition {
    let was_put_off_later = Condition::any()
        .add(Column::HandedOverAt.is_null())
        .add(Column::HandedOverAt.gt(latest.happened))
        .add(Column::DueAt.gt(latest.queued));
    due_later(Status::Queued, latest.happened).add(was_put_off_later)
}

fn sending(latest: Latest) -> Condition {
    due_later(Status::Sending, latest.sending).add(Column::HandedOverAt.gt(latest.happened))
}

/// One that cannot be asked about is left to receipts until it expires.
fn unknown(latest: Latest) -> Condition {
    due_later(Status::Unknown, latest.unknown)
        .add(Column::HandedOverAt.gt(latest.happened))
        .add(Expr::col(Column::DueAt).ne(Expr::col(Column::ExpiresAt)))
}

/// Lane by lane, as the index has them.
fn due_later(status: Status, latest: Instant) -> Condition {
    let lanes = Kind::LANES.iter().fold(Condition::any(), |lanes, kind| {
        lanes.add(Condition::all().add(Column::Kind.eq(*kind)).add(Column::DueAt.gt(latest)))
    });
    Condition::all().add(is(status)).add(lanes)
}
