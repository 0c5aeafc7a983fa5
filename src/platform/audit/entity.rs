//! Rows of the audit log.

use sea_orm::entity::prelude::*;

use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub done_at: Timestamp,
    pub actor: String,
    pub action: String,
    pub target: Option<String>,
    pub detail: Option<String>,
    pub request_id: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts an entry.
pub async fn insert(tx: &Work, entry: Model) -> Result<(), DbErr> {
    let entry: ActiveModel = entry.into();
    Entity::insert(entry.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}
