//! Erasure of a person's messages: cancels them, and clears their texts and numbers.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QuerySelect};

use super::{Column, Entity, Model, has_status, set_state_at, status_value};
use crate::ids::MessageId;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::PhoneNumber;

/// The ids of the messages with a code that were created for a number since a time.
pub async fn find_code_message_ids(
    tx: &Work,
    phone: &PhoneNumber,
    since: Timestamp,
) -> Result<Vec<MessageId>, DbErr> {
    let codes = Entity::find().filter(Column::Phone.is_in(phone.variants()));
    let codes = codes.filter(Column::Kind.eq(Kind::Code)).filter(Column::CreatedAt.gte(since));
    codes.select_only().column(Column::Id).into_tuple().all(tx).await
}

/// Cancels messages with this status that are to the number or among the ids. Returns them, with the time at which they
/// reached this status.
pub async fn cancel_many(
    tx: &Work,
    phone: Option<&PhoneNumber>,
    ids: &[MessageId],
    from: Status,
    now: Timestamp,
) -> Result<Vec<Model>, DbErr> {
    let cancelled = Entity::update_many()
        .col_expr(Column::Status, status_value(Status::Cancelled))
        .col_expr(Column::DueAt, Expr::value(None::<Timestamp>))
        .filter(has_status(from))
        .filter(matches_phone_or_ids(phone, ids))
        .exec_with_returning(tx)
        .await?;
    let cancelled_ids: Vec<MessageId> = cancelled.iter().map(|message| message.id).collect();
    set_state_at(tx, &cancelled_ids, now).await?;
    Ok(cancelled)
}

/// Clears the texts and numbers of messages that are to the number or among the ids.
pub async fn erase(tx: &Work, phone: Option<&PhoneNumber>, ids: &[MessageId]) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Body, Expr::value(""))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::Phone, Expr::value(""))
        .filter(matches_phone_or_ids(phone, ids))
        .exec(tx)
        .await?;
    Ok(())
}

fn matches_phone_or_ids(phone: Option<&PhoneNumber>, ids: &[MessageId]) -> Condition {
    Condition::any()
        .add(Column::Id.is_in(pad_to_pow2(ids)))
        .add_option(phone.map(|phone| Column::Phone.is_in(phone.variants())))
}
