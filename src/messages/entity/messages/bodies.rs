//! Bodies of messages: access to sealed bodies, and clearing of bodies.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect};

use super::{BATCH_SIZE, Column, Entity, min_id_at};
use crate::ids::MessageId;
use crate::messages::status::Kind;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::reseal::{SealedColumn, reseal};

/// Reseals the bodies of queued messages with a code. Returns how many it changed.
pub async fn reseal_bodies(
    platform: &Platform,
    aad: fn(&MessageId) -> String,
) -> crate::error::Result<u64> {
    let column = SealedColumn { key: Column::Id, sealed: Column::SealedBody, aad };
    let is_queued_code =
        Condition::all().add(Column::DueAt.is_not_null()).add(Column::Kind.eq(Kind::Code));
    reseal::<Entity, _>(platform, &column, is_queued_code).await
}

/// Clears the sealed body of a message that is not sent again.
pub async fn clear_sealed_body(tx: &Work, id: MessageId) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Clears the bodies of a batch of messages that were created before a time, oldest first, starting after a message.
/// Returns the last message of the batch.
pub async fn clear_bodies(
    tx: &Work,
    after: Option<MessageId>,
    before: Timestamp,
) -> Result<Option<MessageId>, DbErr> {
    let mut oldest = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.lt(min_id_at(before)))
        .order_by_asc(Column::Id)
        .limit(BATCH_SIZE);
    if let Some(after) = after {
        oldest = oldest.filter(Column::Id.gt(after));
    }
    let ids: Vec<MessageId> = oldest.into_tuple().all(tx).await?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    Entity::update_many()
        .col_expr(Column::Body, Expr::value(""))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .filter(Column::Id.is_in(pad_to_pow2(&ids)))
        .exec(tx)
        .await?;
    Ok(Some(last))
}
