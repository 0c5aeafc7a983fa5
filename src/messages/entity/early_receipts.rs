//! Receipts that came before the gateway's id of their message was written down.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{QueryOrder, QuerySelect};

use crate::messages::status::Status;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// How long one waits for its message.
const KEPT: Duration = Duration::from_mins(10);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "early_receipts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub status: Status,
    pub error: Option<String>,
    pub received_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Keeps one.
pub async fn keep(tx: &Work, receipt: Model) -> Result<(), DbErr> {
    let row: ActiveModel = receipt.into();
    let is_there = OnConflict::columns([Column::Gateway, Column::GatewayId, Column::Status])
        .do_nothing()
        .to_owned();
    Entity::insert(row.reset_all()).on_conflict(is_there).exec_without_returning(tx).await?;
    Ok(())
}

/// Takes one, for its message is there.
pub async fn take(tx: &Work, receipt: Model) -> Result<(), DbErr> {
    Entity::delete_by_id((receipt.gateway, receipt.gateway_id, receipt.status)).exec(tx).await?;
    Ok(())
}

/// The newest of them.
pub async fn newest(db: &impl ConnectionTrait, most: u64) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by_desc(Column::ReceivedAt).limit(most).all(db).await
}

/// Drops those that no message came for.
pub async fn sweep(tx: &Work, now: Instant) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::ReceivedAt.lt(now - KEPT)).exec(tx).await?;
    Ok(())
}
