//! Forgetting whom messages were for, and what they said.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QuerySelect};

use super::{Column, Entity, is, value};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::PhoneNumber;

/// The codes that went, or are to go, to a number since a moment.
///
/// # Errors
/// Those of the database.
pub async fn codes_to(
    tx: &Work,
    phone: &PhoneNumber,
    since: Instant,
) -> Result<Vec<MessageId>, DbErr> {
    let codes = Entity::find().filter(Column::Phone.is_in(phone.forms()));
    let codes = codes.filter(Column::Kind.eq(Kind::Code)).filter(Column::CreatedAt.gte(since));
    codes.select_only().column(Column::Id).into_tuple().all(tx).await
}

/// Withdraws those in a status, to a number and some others. Answers their lanes.
pub async fn cancel(
    tx: &Work,
    phone: Option<&PhoneNumber>,
    ids: &[MessageId],
    from: Status,
) -> Result<Vec<Kind>, DbErr> {
    let cancelled = Entity::update_many()
        .col_expr(Column::Status, value(Status::Cancelled))
        .col_expr(Column::DueAt, Expr::value(None::<Instant>))
        .filter(is(from))
        .filter(these(phone, ids))
        .exec_with_returning(tx)
        .await?;
    Ok(cancelled.into_iter().map(|message| message.kind).collect())
}

/// Clears the texts and the numbers.
pub async fn forget(
    tx: &Work,
    phone: Option<&PhoneNumber>,
    ids: &[MessageId],
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Body, Expr::value(""))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::Phone, Expr::value(""))
        .filter(these(phone, ids))
        .exec(tx)
        .await?;
    Ok(())
}

fn these(phone: Option<&PhoneNumber>, ids: &[MessageId]) -> Condition {
    Condition::any()
        .add(Column::Id.is_in(pad_to_pow2(ids)))
        .add_option(phone.map(|phone| Column::Phone.is_in(phone.forms())))
}
