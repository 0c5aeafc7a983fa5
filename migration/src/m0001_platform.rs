//! Tables of the platform: leases of background jobs, shared rate limits, announcements to all instances,
//! the installation's id, and the row of the write probe.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_platform"
    }
}

#[derive(DeriveIden)]
enum Leases {
    Table,
    Name,
    DueAt,
    Watermark,
}

#[derive(DeriveIden)]
enum RateLimits {
    Table,
    Key,
    Attempts,
    WindowEndsAt,
}

#[derive(DeriveIden)]
enum Announcements {
    Table,
    Id,
    Topic,
    CreatedAt,
}

#[derive(DeriveIden)]
#[expect(clippy::enum_variant_names, reason = "the variants are the names of the columns")]
enum Installation {
    Table,
    Id,
    InstallationId,
}

#[derive(DeriveIden)]
enum WriteProbe {
    Table,
    Id,
    ProbedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_leases(manager)).await?;
        Box::pin(create_rate_limits(manager)).await?;
        Box::pin(create_announcements(manager)).await?;
        Box::pin(create_installation(manager)).await?;
        Box::pin(create_write_probe(manager)).await
    }
}

async fn create_leases(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Leases::Table)
                .col(ColumnDef::new(Leases::Name).text().not_null().primary_key())
                .col(ColumnDef::new(Leases::DueAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Leases::Watermark).text())
                .to_owned(),
        )
        .await
}

async fn create_rate_limits(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(RateLimits::Table)
                .col(ColumnDef::new(RateLimits::Key).text().not_null().primary_key())
                .col(ColumnDef::new(RateLimits::Attempts).integer().not_null())
                .col(ColumnDef::new(RateLimits::WindowEndsAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await?;
    let by_end = Index::create()
        .name("rate_limits_window_ends_at")
        .table(RateLimits::Table)
        .col(RateLimits::WindowEndsAt)
        .take();
    manager.create_index(by_end).await
}

async fn create_announcements(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Announcements::Table)
                .col(ColumnDef::new(Announcements::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Announcements::Topic).text().not_null())
                .col(ColumnDef::new(Announcements::CreatedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await
}

async fn create_installation(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Installation::Table)
                .col(ColumnDef::new(Installation::Id).integer().not_null().primary_key())
                .col(ColumnDef::new(Installation::InstallationId).uuid().not_null())
                .to_owned(),
        )
        .await
}

async fn create_write_probe(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(WriteProbe::Table)
                .col(ColumnDef::new(WriteProbe::Id).integer().not_null().primary_key())
                .col(ColumnDef::new(WriteProbe::ProbedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await
}
