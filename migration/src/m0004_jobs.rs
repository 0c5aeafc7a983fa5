//! What one instance does for all: whose turn it is, and how far it got.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_jobs"
    }
}

#[derive(DeriveIden)]
enum Jobs {
    Table,
    Name,
    DueAt,
    Watermark,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Jobs::Table)
                    .col(ColumnDef::new(Jobs::Name).text().not_null().primary_key())
                    .col(ColumnDef::new(Jobs::DueAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Jobs::Watermark).text())
                    .to_owned(),
            )
            .await
    }
}
