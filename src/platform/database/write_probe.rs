//! Write probe: while writes fail, writes a row to detect when the database stores writes again.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::{Database, Work};
use crate::error::Result;
use crate::platform::clock::Timestamp;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "write_probe")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub probed_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Database {
    /// While writes fail, tries one, and marks writes as working if it succeeds.
    pub async fn probe_writes(&self, now: Timestamp) {
        if !self.shared.health.is_failing() {
            return;
        }
        match self.write_probe_row(now).await {
            Ok(()) => self.shared.health.set_working(),
            Err(error) => tracing::debug!("writes are still not kept: {}", error.describe()),
        }
    }

    async fn write_probe_row(&self, now: Timestamp) -> Result<()> {
        let tx = self.begin().await?;
        upsert_row(&tx, now).await?;
        tx.commit().await
    }
}

async fn upsert_row(tx: &Work, now: Timestamp) -> Result<(), DbErr> {
    let row = ActiveModel { id: Set(1), probed_at: Set(now) };
    let update_existing = OnConflict::column(Column::Id).update_column(Column::ProbedAt).to_owned();
    Entity::insert(row).on_conflict(update_existing).exec_without_returning(tx).await?;
    Ok(())
}
