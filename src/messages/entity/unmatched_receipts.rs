//! The unmatched_receipts table: receipts that arrived before their message had the gateway's id.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{QueryOrder, QuerySelect};

use crate::messages::status::Status;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

/// How long a receipt waits for its message.
const RETENTION: Duration = Duration::from_mins(10);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "unmatched_receipts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub status: Status,
    pub error: Option<String>,
    pub received_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts a receipt; a repeated one is ignored.
pub async fn insert(tx: &Work, receipt: Model) -> Result<(), DbErr> {
    let row: ActiveModel = receipt.into();
    let repeated = OnConflict::columns([Column::Gateway, Column::GatewayId, Column::Status])
        .do_nothing()
        .to_owned();
    Entity::insert(row.reset_all()).on_conflict(repeated).exec_without_returning(tx).await?;
    Ok(())
}

/// Deletes a receipt.
pub async fn delete(tx: &Work, receipt: Model) -> Result<(), DbErr> {
    Entity::delete_by_id((receipt.gateway, receipt.gateway_id, receipt.status)).exec(tx).await?;
    Ok(())
}

/// The newest receipts.
pub async fn find_newest(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by_desc(Column::ReceivedAt).limit(limit).all(db).await
}

/// Deletes the receipts that have waited too long for their message.
pub async fn purge_expired(tx: &Work, now: Timestamp) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::ReceivedAt.lt(now - RETENTION)).exec(tx).await?;
    Ok(())
}
