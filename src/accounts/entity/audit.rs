//! What operators did to accounts, by command line. It is kept.

use sea_orm::entity::prelude::*;

use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "account_audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: UserId,
    pub deed: Deed,
    pub done_at: Instant,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Deed {
    /// Sessions ended, the second factor off, a code for a new password.
    Recovered,
    /// An administrator from then on.
    MadeAdmin,
    /// A player from then on.
    MadePlayer,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Writes it down in the deed's transaction.
pub async fn insert(tx: &Work, row: Model) -> Result<(), DbErr> {
    let row: ActiveModel = row.into();
    Entity::insert(row.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}
