//! Leases with a holder, an expiry and attempts, in place of those with a due time alone, and the running instances.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0009_leases"
    }
}

#[derive(DeriveIden)]
enum Leases {
    Table,
    Kind,
    Key,
    DueAt,
    Holder,
    ExpiresAt,
    Attempts,
    Watermark,
}

#[derive(DeriveIden)]
enum Instances {
    Table,
    Id,
    Version,
    Sockets,
    SeenAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Without their rows: each job is due at once, and the progress that one had saved only spares it work.
        manager.drop_table(Table::drop().table(Leases::Table).to_owned()).await?;
        Box::pin(create_leases(manager)).await?;
        Box::pin(create_instances(manager)).await
    }
}

async fn create_leases(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Leases::Table)
                .col(ColumnDef::new(Leases::Kind).text().not_null())
                .col(ColumnDef::new(Leases::Key).text().not_null())
                .col(ColumnDef::new(Leases::DueAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Leases::Holder).uuid())
                .col(ColumnDef::new(Leases::ExpiresAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Leases::Attempts).integer().not_null())
                .col(ColumnDef::new(Leases::Watermark).text())
                .primary_key(Index::create().col(Leases::Kind).col(Leases::Key))
                .to_owned(),
        )
        .await
}

async fn create_instances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Instances::Table)
                .col(ColumnDef::new(Instances::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Instances::Version).text().not_null())
                .col(ColumnDef::new(Instances::Sockets).integer().not_null())
                .col(ColumnDef::new(Instances::SeenAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await
}
