//! The row that is written to see whether the database keeps what is written.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;

use super::{Database, Work};
use crate::error::Result;
use crate::platform::clock::Instant;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "write_probe")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub probed_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Database {
    /// While writes are not kept, tries whether one is.
    pub async fn probe_writes(&self, now: Instant) {
        if !self.shared.health.is_failing() {
            return;
        }
        match self.write_probe(now).await {
            Ok(()) => self.shared.health.set_working(),
            Err(error) => tracing::debug!("writes are still not kept: {}", error.describe()),
        }
    }

    async fn write_probe(&self, now: Instant) -> Result<()> {
        let work = self.begin().await?;
        write(&work, now).await?;
        work.commit().await
    }
}

async fn write(work: &Work, now: Instant) -> Result<(), DbErr> {
    let row = ActiveModel { number: Set(1), probed_at: Set(now) };
    let again = OnConflict::column(Column::Number).update_column(Column::ProbedAt).to_owned();
    Entity::insert(row).on_conflict(again).exec_without_returning(work).await?;
    Ok(())
}
