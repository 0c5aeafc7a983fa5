//! Manual retries of messages by operators.

use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect, UpdateMany};

use super::{BATCH_SIZE, Column, Entity, MessageFilter, Model, has_status, status_value};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};

/// Keeps the counter, which has 16 bits, from overflow.
const MAX_MANUAL_RETRIES: i16 = 1_000;

/// Queues a message again. Returns None if its status has changed since it was read.
pub async fn retry_one(
    tx: &Work,
    message: &Model,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Option<Model>, DbErr> {
    let update =
        build_retry_update(message.status, now, expires_at).filter(Column::Id.eq(message.id));
    Ok(update.exec_with_returning(tx).await?.into_iter().next())
}

/// A batch of messages that can be sent again, oldest first, starting after a message. Codes and messages whose text
/// was cleared are left out.
pub async fn find_retryable(
    db: &impl ConnectionTrait,
    filter: &MessageFilter,
    after: Option<MessageId>,
) -> Result<Vec<(MessageId, Status)>, DbErr> {
    let mut query = filter
        .query()
        .filter(Column::Kind.ne(Kind::Code))
        .filter(Column::Body.ne(""))
        .order_by_asc(Column::Id)
        .limit(BATCH_SIZE);
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    query.select_only().columns([Column::Id, Column::Status]).into_tuple().all(db).await
}

/// Queues those messages again that still have this status. Returns them.
pub async fn retry_many(
    tx: &Work,
    ids: &[MessageId],
    status: Status,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Model>, DbErr> {
    let update =
        build_retry_update(status, now, expires_at).filter(Column::Id.is_in(pad_to_pow2(ids)));
    update.exec_with_returning(tx).await
}

fn build_retry_update(from: Status, now: Timestamp, expires_at: Timestamp) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Status, status_value(Status::Queued))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::ManualRetries, Expr::col(Column::ManualRetries).add(1))
        .col_expr(Column::GatewayId, Expr::value(None::<String>))
        .col_expr(Column::PinnedGateway, Expr::value(None::<String>))
        .col_expr(Column::Error, Expr::value(None::<String>))
        .col_expr(Column::SentAt, Expr::value(None::<Timestamp>))
        .col_expr(Column::QueuedAt, Expr::value(now))
        .col_expr(Column::DueAt, Expr::value(now))
        .col_expr(Column::ExpiresAt, Expr::value(expires_at))
        .filter(has_status(from))
        .filter(Column::Body.ne(""))
        .filter(Column::ManualRetries.lt(MAX_MANUAL_RETRIES))
}
