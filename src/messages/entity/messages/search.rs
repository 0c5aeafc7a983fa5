//! What operators look for, and have sent again; and how far single messages are.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect, UpdateMany};
use uuid::Builder;

use super::{CHUNK, Column, Entity, Model, is, value};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::PhoneNumber;

/// No message is worth more of an operator's patience.
const MOST_RETRIES: i16 = 1_000;

/// How far some messages are.
pub async fn statuses(
    db: &impl ConnectionTrait,
    ids: &[MessageId],
) -> Result<Vec<(MessageId, Status)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::Status])
        .filter(Column::Id.is_in(pad_to_pow2(ids)))
        .into_tuple()
        .all(db)
        .await
}

/// Which messages.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In any of these statuses; none: in any at all.
    pub statuses: Vec<Status>,
    /// Of this lane.
    pub kind: Option<Kind>,
    /// Of this campaign.
    pub campaign: Option<String>,
    /// For this number.
    pub phone: Option<PhoneNumber>,
    /// Written at this moment or later.
    pub from: Option<Instant>,
    /// Written before this moment.
    pub until: Option<Instant>,
}

impl Wanted {
    fn find(&self) -> Select<Entity> {
        let mut found = Entity::find();
        let any = self.statuses.iter().map(|status| is(*status)).reduce(|a, b| a.or(b));
        if let Some(any) = any {
            found = found.filter(any);
        }
        if let Some(kind) = self.kind {
            found = found.filter(Column::Kind.eq(kind));
        }
        if let Some(campaign) = &self.campaign {
            found = found.filter(Column::Campaign.eq(campaign));
        }
        if let Some(phone) = &self.phone {
            found = found.filter(Column::Phone.is_in(phone.forms()));
        }
        // Ids are in the order of time, so they narrow the search; they have whole milliseconds.
        if let Some(from) = self.from {
            found =
                found.filter(Column::Id.gte(first_id(from))).filter(Column::CreatedAt.gte(from));
        }
        if let Some(until) = self.until {
            let end = first_id(until + Duration::from_millis(1));
            found = found.filter(Column::Id.lt(end)).filter(Column::CreatedAt.lt(until));
        }
        found
    }
}

/// A page of messages, the newest first, after one.
pub async fn page(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    after: Option<Uuid>,
    most: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut found = wanted.find().order_by_desc(Column::Id).limit(most);
    if let Some(after) = after {
        found = found.filter(Column::Id.lt(MessageId::from(after)));
    }
    found.all(db).await
}

/// Has a message sent again. None: it has moved since it was seen.
pub async fn retry_one(
    tx: &Work,
    seen: &Model,
    now: Instant,
    expires_at: Instant,
) -> Result<Option<Model>, DbErr> {
    let retried = retried(seen.status, now, expires_at).filter(Column::Id.eq(seen.id));
    Ok(retried.exec_with_returning(tx).await?.into_iter().next())
}

/// Some messages that may be sent again, the oldest first, after one. Never a code, nor one without its text.
pub async fn retryable(
    db: &impl ConnectionTrait,
    wanted: &Wanted,
    after: Option<MessageId>,
) -> Result<Vec<(MessageId, Status)>, DbErr> {
    let mut found = wanted
        .find()
        .filter(Column::Kind.ne(Kind::Code))
        .filter(Column::Body.ne(""))
        .order_by_asc(Column::Id)
        .limit(CHUNK);
    if let Some(after) = after {
        found = found.filter(Column::Id.gt(after));
    }
    found.select_only().columns([Column::Id, Column::Status]).into_tuple().all(db).await
}

/// Has those of some messages sent again that are in this status still. Answers their lanes.
pub async fn retry_some(
    tx: &Work,
    ids: &[MessageId],
    status: Status,
    now: Instant,
    expires_at: Instant,
) -> Result<Vec<Kind>, DbErr> {
    let these = retried(status, now, expires_at).filter(Column::Id.is_in(pad_to_pow2(ids)));
    let rows = these.exec_with_returning(tx).await?;
    Ok(rows.into_iter().map(|row| row.kind).collect())
}

fn retried(from: Status, now: Instant, expires_at: Instant) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Status, value(Status::Queued))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::Retries, Expr::col(Column::Retries).add(1))
        .col_expr(Column::GatewayId, Expr::value(None::<String>))
        .col_expr(Column::BoundTo, Expr::value(None::<String>))
        .col_expr(Column::Error, Expr::value(None::<String>))
        .col_expr(Column::SentAt, Expr::value(None::<Instant>))
        .col_expr(Column::QueuedAt, Expr::value(now))
        .col_expr(Column::DueAt, Expr::value(now))
        .col_expr(Column::ExpiresAt, Expr::value(expires_at))
        .filter(is(from))
        .filter(Column::Body.ne(""))
        .filter(Column::Retries.lt(MOST_RETRIES))
}

/// Clears texts of messages that were written before a moment, the oldest first, after one. Answers the last.
pub async fn clear_bodies(
    tx: &Work,
    after: Option<MessageId>,
    before: Instant,
) -> Result<Option<MessageId>, DbErr> {
    let mut old = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lt(first_id(before)))
        .order_by_asc(Column::Id)
        .limit(CHUNK);
    if let Some(after) = after {
        old = old.filter(Column::Id.gt(after));
    }
    let ids: Vec<MessageId> = old.into_tuple().all(tx).await?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    Entity::update_many()
        .col_expr(Column::Body, Expr::value(""))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .filter(Column::Id.is_in(pad_to_pow2(&ids)))
        .exec(tx)
        .await?;
    Ok(Some(last))
}

/// The lowest id of a moment, of those that the schema lets in.
fn first_id(moment: Instant) -> MessageId {
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid().into()
}
