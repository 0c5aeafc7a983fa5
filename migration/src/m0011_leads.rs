//! The table of leads: numbers that people gave in a lead form or at a claim link, and what became of each.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0011_leads"
    }
}

#[derive(DeriveIden)]
enum Campaigns {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Leads {
    Table,
    Id,
    Network,
    LeadId,
    Form,
    State,
    CampaignId,
    SealedPhone,
    NumberHash,
    Consent,
    SubmittedAt,
    ReceivedAt,
    NextAttemptAt,
    Attempts,
    Error,
    ErrorCode,
    FailedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_leads(manager)).await?;
        Box::pin(create_indexes(manager)).await
    }
}

async fn create_leads(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Leads::Table)
                .col(ColumnDef::new(Leads::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Leads::Network).text().not_null())
                .col(ColumnDef::new(Leads::LeadId).text().not_null())
                .col(ColumnDef::new(Leads::Form).text().not_null())
                .col(ColumnDef::new(Leads::State).text().not_null())
                .col(ColumnDef::new(Leads::CampaignId).uuid())
                .col(ColumnDef::new(Leads::SealedPhone).binary())
                .col(ColumnDef::new(Leads::NumberHash).binary())
                .col(ColumnDef::new(Leads::Consent).text())
                .col(ColumnDef::new(Leads::SubmittedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Leads::ReceivedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Leads::NextAttemptAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Leads::Attempts).integer().not_null())
                .col(ColumnDef::new(Leads::Error).text())
                .col(ColumnDef::new(Leads::ErrorCode).text())
                .col(ColumnDef::new(Leads::FailedAt).timestamp_with_time_zone())
                .foreign_key(
                    ForeignKey::create()
                        .from(Leads::Table, Leads::CampaignId)
                        .to(Campaigns::Table, Campaigns::Id),
                )
                .to_owned(),
        )
        .await
}

async fn create_indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let index = |name: &str| Index::create().name(name).table(Leads::Table).take();
    let indexes = [
        index("leads_network_lead_id").col(Leads::Network).col(Leads::LeadId).unique().take(),
        // For the figures of the forms, which read nothing but this index.
        index("leads_network_form_state")
            .col(Leads::Network)
            .col(Leads::Form)
            .col(Leads::State)
            .col(Leads::CampaignId)
            .col(Leads::ReceivedAt)
            .take(),
        index("leads_due")
            .col(Leads::Network)
            .col(Leads::Form)
            .col(Leads::NextAttemptAt)
            .and_where(Expr::cust("next_attempt_at IS NOT NULL"))
            .take(),
        index("leads_failed")
            .col(Leads::Network)
            .col(Leads::Form)
            .col(Leads::FailedAt)
            .and_where(Expr::cust("failed_at IS NOT NULL"))
            .take(),
        index("leads_number_hash")
            .col(Leads::NumberHash)
            .and_where(Expr::cust("number_hash IS NOT NULL"))
            .take(),
        index("leads_kept_for_a_while")
            .col(Leads::ReceivedAt)
            .and_where(Expr::cust("state IN ('UNKNOWN_FORM', 'TEST')"))
            .take(),
    ];
    for index in indexes {
        manager.create_index(index).await?;
    }
    Ok(())
}
