//! Claims of due messages by one instance for the time of a lease, and expiry of messages and leases.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{
    Alias, CaseStatement, CommonTableExpression, LockBehavior, LockType, Query, SelectStatement,
};
use sea_orm::{ExprTrait, QueryOrder, QuerySelect, QueryTrait, UpdateMany};

use super::{BATCH_SIZE, Column, Entity, Model, has_status, status_value};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// The due messages of a lane.
#[derive(Clone, Copy, Debug)]
pub struct DueRange {
    /// The lane.
    pub kind: Kind,
    /// The lane's start: no message is due earlier.
    pub from: Timestamp,
    /// Now.
    pub until: Timestamp,
}

/// Who claims messages, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The gateway that will send them.
    pub gateway: &'a str,
    /// The other gateways, whose pinned messages are left to them.
    pub other_gateways: &'a [&'a str],
    /// How long this instance has to send them.
    pub lease: Duration,
}

/// Claims messages of one lane for sending, the longest due first.
pub async fn claim(
    tx: &Work,
    DueRange { kind, from, until: now }: DueRange,
    limit: u64,
    claimant: Claimant<'_>,
) -> Result<Vec<Model>, DbErr> {
    let Claimant { gateway, other_gateways, lease } = claimant;
    let not_pinned_elsewhere = Column::PinnedGateway.is_not_in(other_gateways.iter().copied());
    let due = due(Status::Queued, now)
        .filter(Column::Kind.eq(kind))
        .filter(Column::DueAt.gte(from))
        .filter(Column::ExpiresAt.gt(now))
        .filter(Column::PinnedGateway.is_null().or(not_pinned_elsewhere))
        .order_by_asc(Column::DueAt);
    let mut claimed = build_claimed_update(due, limit, Status::Queued)
        .col_expr(Column::Status, status_value(Status::Sending))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::Gateway, Expr::value(gateway))
        .col_expr(Column::GatewayId, Expr::value(None::<String>))
        .col_expr(Column::DueAt, Expr::value(now + lease))
        .col_expr(Column::AttemptedAt, Expr::value(now))
        .exec_with_returning(tx)
        .await?;
    claimed.sort_by_key(|message| message.id);
    Ok(claimed)
}

/// The earliest due time of a lane's due messages.
pub async fn find_first_due_at(
    tx: &Work,
    kind: Kind,
    now: Timestamp,
) -> Result<Option<Timestamp>, DbErr> {
    let first = due(Status::Queued, now).filter(Column::Kind.eq(kind)).order_by_asc(Column::DueAt);
    first.select_only().column(Column::DueAt).into_tuple().one(tx).await
}

/// Expires queued messages, and returns them.
pub async fn expire(tx: &Work, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    build_claimed_update(expired(now), BATCH_SIZE, Status::Queued)
        .col_expr(Column::Status, status_value(Status::Expired))
        .col_expr(Column::DueAt, Expr::value(None::<Timestamp>))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::StateAt, Expr::value(now))
        .exec_with_returning(tx)
        .await
}

/// Expires leases: their sender has crashed, so the messages become UNKNOWN. Those of reconcilable gateways are due for
/// reconciliation at once. Returns them.
pub async fn expire_leases(
    tx: &Work,
    now: Timestamp,
    reconcilable_gateways: &[&str],
) -> Result<Vec<Model>, DbErr> {
    let due_at = CaseStatement::new()
        .case(Column::Gateway.is_in(reconcilable_gateways.iter().copied()), Expr::value(now))
        .finally(Expr::col(Column::ExpiresAt));
    build_claimed_update(due(Status::Sending, now), BATCH_SIZE, Status::Sending)
        .col_expr(Column::Status, status_value(Status::Unknown))
        .col_expr(Column::DueAt, due_at.into())
        .col_expr(Column::PinnedGateway, Expr::col(Column::Gateway))
        .col_expr(Column::Error, Expr::value("the sender stopped while handing it over"))
        .col_expr(Column::StateAt, Expr::value(now))
        .exec_with_returning(tx)
        .await
}

/// Claims UNKNOWN messages for reconciliation.
pub async fn claim_unknown(
    tx: &Work,
    limit: u64,
    now: Timestamp,
    lease: Duration,
) -> Result<Vec<Model>, DbErr> {
    build_claimed_update(
        due(Status::Unknown, now).order_by_asc(Column::DueAt),
        limit,
        Status::Unknown,
    )
    .col_expr(Column::DueAt, Expr::value(now + lease))
    .exec_with_returning(tx)
    .await
}

/// Whether any UNKNOWN message is due for reconciliation.
pub async fn has_due_unknown(db: &impl ConnectionTrait, now: Timestamp) -> Result<bool, DbErr> {
    exists(db, due(Status::Unknown, now)).await
}

/// Whether any queued message is due.
pub async fn has_due_queued(db: &impl ConnectionTrait, now: Timestamp) -> Result<bool, DbErr> {
    exists(db, due(Status::Queued, now)).await
}

/// Whether any queued message or any lease has expired.
pub async fn has_expired(db: &impl ConnectionTrait, now: Timestamp) -> Result<bool, DbErr> {
    let ids = expired(now).select_only().column(Column::Id);
    let expired = ids.into_tuple::<MessageId>().one(db).await?;
    Ok(expired.is_some() || exists(db, due(Status::Sending, now)).await?)
}

/// Whether there is a row. Ordered like the index, because PostgreSQL would not use the index otherwise.
async fn exists(db: &impl ConnectionTrait, rows: Select<Entity>) -> Result<bool, DbErr> {
    let ordered = rows.order_by_asc(Column::Kind).order_by_asc(Column::DueAt);
    let first = ordered.select_only().column(Column::Id).into_tuple::<MessageId>().one(db).await?;
    Ok(first.is_some())
}

fn due(status: Status, now: Timestamp) -> Select<Entity> {
    Entity::find().filter(has_status(status)).filter(Column::DueAt.lte(now))
}

/// Queued messages that have expired.
fn expired(now: Timestamp) -> Select<Entity> {
    let queued = Entity::find().filter(has_status(Status::Queued));
    queued.filter(Column::ExpiresAt.lte(now)).order_by_asc(Column::ExpiresAt)
}

/// Builds an update of up to `limit` of these rows, without those that another instance is updating.
pub(super) fn build_claimed_update(
    rows: Select<Entity>,
    limit: u64,
    from: Status,
) -> UpdateMany<Entity> {
    let mut ids: SelectStatement = rows.select_only().column(Column::Id).limit(limit).into_query();
    // SQLite has a single writer and ignores the clause.
    ids.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    // A common table expression, because PostgreSQL may run a subquery more than once, each time with other rows.
    let due = CommonTableExpression::new().query(ids).table_name(Alias::new("due")).to_owned();
    let due_ids = Query::select().column(Column::Id).from(Alias::new("due")).to_owned();
    let claimed = Column::Id.in_subquery(due_ids);
    let mut update = Entity::update_many().filter(claimed).filter(has_status(from));
    QueryTrait::query(&mut update).with_cte(due);
    update
}
