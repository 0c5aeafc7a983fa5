//! Audit log of operators' changes to accounts by command line. Rows are never deleted.

use sea_orm::entity::prelude::*;

use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "account_audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: UserId,
    pub action: AuditAction,
    pub done_at: Timestamp,
}

/// The action of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuditAction {
    /// Recovered an account: ended its sessions, turned the second factor off, and created a code for a new password.
    Recovered,
    /// Granted the administrator role.
    AdminGranted,
    /// Revoked the administrator role.
    AdminRevoked,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts an entry. Call it in the transaction of the action.
pub async fn insert(tx: &Work, entry: Model) -> Result<(), DbErr> {
    let entry: ActiveModel = entry.into();
    Entity::insert(entry.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}
