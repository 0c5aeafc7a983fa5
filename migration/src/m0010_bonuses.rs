//! Tables of the bonuses module: the key of the hashes of phone numbers, campaigns, their bonuses, imports and rejected
//! lines; and the audit log of administrators' actions.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0010_bonuses"
    }
}

#[derive(DeriveIden)]
enum AuditEntries {
    Table,
    Id,
    DoneAt,
    Actor,
    Action,
    Target,
    Detail,
    RequestId,
}

#[derive(DeriveIden)]
enum BonusNumberKeys {
    Table,
    Id,
    SealedKey,
}

#[derive(DeriveIden)]
enum Campaigns {
    Table,
    Id,
    Name,
    Coins,
    Message,
    Credited,
    Pending,
    Expired,
    CreatedAt,
    EndedAt,
}

#[derive(DeriveIden)]
enum Bonuses {
    Table,
    NumberHash,
    CampaignId,
    Id,
    IsCredited,
}

#[derive(DeriveIden)]
enum BonusImports {
    Table,
    Id,
    CampaignId,
    FileName,
    Source,
    DefaultRegion,
    StartedBy,
    Status,
    ObjectName,
    ContentHash,
    Format,
    BytesTotal,
    BytesProcessed,
    NextLine,
    Lines,
    Credited,
    Pending,
    Duplicates,
    Invalid,
    SlowedBy,
    Error,
    ErrorCode,
    CreatedAt,
    StartedAt,
    FinishedAt,
}

#[derive(DeriveIden)]
enum BonusRejectedLines {
    Table,
    ImportId,
    Line,
    MaskedValue,
    Reason,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_audit_entries(manager)).await?;
        Box::pin(create_number_keys(manager)).await?;
        Box::pin(create_campaigns(manager)).await?;
        Box::pin(create_bonuses(manager)).await?;
        Box::pin(create_imports(manager)).await?;
        Box::pin(create_rejected_lines(manager)).await
    }
}

async fn create_audit_entries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(AuditEntries::Table)
                .col(ColumnDef::new(AuditEntries::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(AuditEntries::DoneAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(AuditEntries::Actor).text().not_null())
                .col(ColumnDef::new(AuditEntries::Action).text().not_null())
                .col(ColumnDef::new(AuditEntries::Target).text())
                .col(ColumnDef::new(AuditEntries::Detail).text())
                .col(ColumnDef::new(AuditEntries::RequestId).text())
                .to_owned(),
        )
        .await?;
    let by_target = Index::create()
        .name("audit_entries_target")
        .table(AuditEntries::Table)
        .col(AuditEntries::Target)
        .col(AuditEntries::Id)
        .take();
    manager.create_index(by_target).await
}

async fn create_number_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(BonusNumberKeys::Table)
                .col(ColumnDef::new(BonusNumberKeys::Id).integer().not_null().primary_key())
                .col(ColumnDef::new(BonusNumberKeys::SealedKey).binary().not_null())
                .to_owned(),
        )
        .await
}

async fn create_campaigns(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Campaigns::Table)
                .col(ColumnDef::new(Campaigns::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Campaigns::Name).text().not_null())
                .col(ColumnDef::new(Campaigns::Coins).integer().not_null())
                .col(ColumnDef::new(Campaigns::Message).text())
                .col(ColumnDef::new(Campaigns::Credited).big_integer().not_null())
                .col(ColumnDef::new(Campaigns::Pending).big_integer().not_null())
                .col(ColumnDef::new(Campaigns::Expired).big_integer().not_null())
                .col(ColumnDef::new(Campaigns::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Campaigns::EndedAt).timestamp_with_time_zone())
                .to_owned(),
        )
        .await?;
    let by_name = Index::create()
        .name("campaigns_name")
        .table(Campaigns::Table)
        .col(Campaigns::Name)
        .unique()
        .take();
    manager.create_index(by_name).await
}

async fn create_bonuses(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // The hash is first in the key, so that all bonuses of one number are found by it.
    manager
        .create_table(
            Table::create()
                .table(Bonuses::Table)
                .col(ColumnDef::new(Bonuses::NumberHash).binary().not_null())
                .col(ColumnDef::new(Bonuses::CampaignId).uuid().not_null())
                .col(ColumnDef::new(Bonuses::Id).uuid().not_null())
                .col(ColumnDef::new(Bonuses::IsCredited).boolean().not_null())
                .primary_key(Index::create().col(Bonuses::NumberHash).col(Bonuses::CampaignId))
                .foreign_key(
                    ForeignKey::create()
                        .from(Bonuses::Table, Bonuses::CampaignId)
                        .to(Campaigns::Table, Campaigns::Id),
                )
                .to_owned(),
        )
        .await
}

async fn create_imports(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(BonusImports::Table)
                .col(ColumnDef::new(BonusImports::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(BonusImports::CampaignId).uuid().not_null())
                .col(ColumnDef::new(BonusImports::FileName).text().not_null())
                .col(ColumnDef::new(BonusImports::Source).text().not_null())
                .col(ColumnDef::new(BonusImports::DefaultRegion).text())
                .col(ColumnDef::new(BonusImports::StartedBy).uuid())
                .col(ColumnDef::new(BonusImports::Status).text().not_null())
                .col(ColumnDef::new(BonusImports::ObjectName).text())
                .col(ColumnDef::new(BonusImports::ContentHash).binary().not_null())
                .col(ColumnDef::new(BonusImports::Format).text())
                .col(ColumnDef::new(BonusImports::BytesTotal).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::BytesProcessed).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::NextLine).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::Lines).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::Credited).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::Pending).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::Duplicates).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::Invalid).big_integer().not_null())
                .col(ColumnDef::new(BonusImports::SlowedBy).text())
                .col(ColumnDef::new(BonusImports::Error).text())
                .col(ColumnDef::new(BonusImports::ErrorCode).text())
                .col(ColumnDef::new(BonusImports::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(BonusImports::StartedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(BonusImports::FinishedAt).timestamp_with_time_zone())
                .foreign_key(
                    ForeignKey::create()
                        .from(BonusImports::Table, BonusImports::CampaignId)
                        .to(Campaigns::Table, Campaigns::Id),
                )
                .to_owned(),
        )
        .await?;
    let by_content = Index::create()
        .name("bonus_imports_campaign_id_content_hash")
        .table(BonusImports::Table)
        .col(BonusImports::CampaignId)
        .col(BonusImports::ContentHash)
        .take();
    manager.create_index(by_content).await?;
    let unfinished = Index::create()
        .name("bonus_imports_unfinished")
        .table(BonusImports::Table)
        .col(BonusImports::Id)
        .and_where(Expr::cust("finished_at IS NULL"))
        .take();
    manager.create_index(unfinished).await
}

async fn create_rejected_lines(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(BonusRejectedLines::Table)
                .col(ColumnDef::new(BonusRejectedLines::ImportId).uuid().not_null())
                .col(ColumnDef::new(BonusRejectedLines::Line).big_integer().not_null())
                .col(ColumnDef::new(BonusRejectedLines::MaskedValue).text().not_null())
                .col(ColumnDef::new(BonusRejectedLines::Reason).text().not_null())
                .primary_key(
                    Index::create().col(BonusRejectedLines::ImportId).col(BonusRejectedLines::Line),
                )
                .foreign_key(
                    ForeignKey::create()
                        .from(BonusRejectedLines::Table, BonusRejectedLines::ImportId)
                        .to(BonusImports::Table, BonusImports::Id),
                )
                .to_owned(),
        )
        .await
}
