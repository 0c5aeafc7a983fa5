//! Tables of the messages module: the queue of SMS, counts of status transitions, gateway states, and receipts whose
//! message is not known yet.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_messages"
    }
}

#[derive(DeriveIden, Clone, Copy)]
enum Messages {
    Table,
    Id,
    Kind,
    Phone,
    Body,
    SealedBody,
    Encoding,
    Segments,
    Campaign,
    Status,
    Attempts,
    ManualRetries,
    Gateway,
    GatewayId,
    PinnedGateway,
    Error,
    CreatedAt,
    QueuedAt,
    DueAt,
    ExpiresAt,
    AttemptedAt,
    SentAt,
    DeliveredAt,
}

#[derive(DeriveIden)]
enum MessageTransitions {
    Table,
    Id,
    Kind,
    FromStatus,
    ToStatus,
    Count,
    OccurredAt,
}

#[derive(DeriveIden)]
enum MessageGateways {
    Table,
    Name,
    NextSendAt,
    ConsecutiveFailures,
    LastFailureAt,
    OpenUntil,
    ProbeUntil,
    MisconfiguredSince,
    LastError,
}

#[derive(DeriveIden)]
enum UnmatchedReceipts {
    Table,
    Gateway,
    GatewayId,
    Status,
    Error,
    ReceivedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_messages(manager)).await?;
        Box::pin(create_transitions(manager)).await?;
        Box::pin(create_gateways(manager)).await?;
        Box::pin(create_unmatched_receipts(manager)).await
    }
}

async fn create_messages(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Messages::Table)
                .col(ColumnDef::new(Messages::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Messages::Kind).small_integer().not_null())
                .col(ColumnDef::new(Messages::Phone).text().not_null())
                .col(ColumnDef::new(Messages::Body).text().not_null())
                .col(ColumnDef::new(Messages::SealedBody).binary())
                .col(ColumnDef::new(Messages::Encoding).text().not_null())
                .col(ColumnDef::new(Messages::Segments).small_integer().not_null())
                .col(ColumnDef::new(Messages::Campaign).text())
                .col(ColumnDef::new(Messages::Status).text().not_null())
                .col(ColumnDef::new(Messages::Attempts).integer().not_null())
                .col(ColumnDef::new(Messages::ManualRetries).small_integer().not_null())
                .col(ColumnDef::new(Messages::Gateway).text())
                .col(ColumnDef::new(Messages::GatewayId).text())
                .col(ColumnDef::new(Messages::PinnedGateway).text())
                .col(ColumnDef::new(Messages::Error).text())
                .col(ColumnDef::new(Messages::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Messages::QueuedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Messages::DueAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Messages::ExpiresAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Messages::AttemptedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Messages::SentAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Messages::DeliveredAt).timestamp_with_time_zone())
                .to_owned(),
        )
        .await?;
    let is_scheduled = Expr::cust("due_at IS NOT NULL");
    create_index(
        manager,
        "due",
        Some(is_scheduled),
        &[Messages::Status, Messages::Kind, Messages::DueAt],
    )
    .await?;
    let is_queued = || Some(Expr::cust("status = 'QUEUED'"));
    create_index(manager, "expires_at", is_queued(), &[Messages::ExpiresAt]).await?;
    create_index(manager, "queued_at", is_queued(), &[Messages::Kind, Messages::QueuedAt]).await?;
    // For operators, who look for the few messages that failed. SQLite uses a partial index for a condition with OR,
    // but not for one with IN.
    let unsuccessful = ["UNKNOWN", "CANCELLED", "EXPIRED", "FAILED", "UNDELIVERED"];
    let is_unsuccessful =
        Expr::cust(unsuccessful.map(|status| format!("status = '{status}'")).join(" OR "));
    create_index(manager, "unsuccessful", Some(is_unsuccessful), &[Messages::Status, Messages::Id])
        .await?;
    let has_gateway_id = Expr::cust("gateway_id IS NOT NULL");
    create_index(manager, "gateway_id", Some(has_gateway_id), &[Messages::GatewayId]).await?;
    let has_campaign = Expr::cust("campaign IS NOT NULL");
    create_index(manager, "campaign", Some(has_campaign), &[Messages::Campaign, Messages::Id])
        .await?;
    create_index(manager, "phone", None, &[Messages::Phone, Messages::Id]).await
}

async fn create_index(
    manager: &SchemaManager<'_>,
    name: &str,
    condition: Option<Expr>,
    columns: &[Messages],
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(format!("messages_{name}")).table(Messages::Table);
    for column in columns {
        index.col(*column);
    }
    if let Some(condition) = condition {
        index.and_where(condition);
    }
    manager.create_index(index).await
}

async fn create_transitions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(MessageTransitions::Table)
                .col(ColumnDef::new(MessageTransitions::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(MessageTransitions::Kind).small_integer().not_null())
                .col(ColumnDef::new(MessageTransitions::FromStatus).text())
                .col(ColumnDef::new(MessageTransitions::ToStatus).text().not_null())
                .col(ColumnDef::new(MessageTransitions::Count).big_integer().not_null())
                .col(
                    ColumnDef::new(MessageTransitions::OccurredAt)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("message_transitions_occurred_at")
                .table(MessageTransitions::Table)
                .col(MessageTransitions::OccurredAt)
                .to_owned(),
        )
        .await
}

async fn create_gateways(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(MessageGateways::Table)
                .col(ColumnDef::new(MessageGateways::Name).text().not_null().primary_key())
                .col(
                    ColumnDef::new(MessageGateways::NextSendAt)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .col(ColumnDef::new(MessageGateways::ConsecutiveFailures).integer().not_null())
                .col(ColumnDef::new(MessageGateways::LastFailureAt).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::OpenUntil).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::ProbeUntil).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::MisconfiguredSince).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::LastError).text())
                .to_owned(),
        )
        .await
}

async fn create_unmatched_receipts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(UnmatchedReceipts::Table)
                .col(ColumnDef::new(UnmatchedReceipts::Gateway).text().not_null())
                .col(ColumnDef::new(UnmatchedReceipts::GatewayId).text().not_null())
                .col(ColumnDef::new(UnmatchedReceipts::Status).text().not_null())
                .col(ColumnDef::new(UnmatchedReceipts::Error).text())
                .col(
                    ColumnDef::new(UnmatchedReceipts::ReceivedAt)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .primary_key(
                    Index::create()
                        .col(UnmatchedReceipts::Gateway)
                        .col(UnmatchedReceipts::GatewayId)
                        .col(UnmatchedReceipts::Status),
                )
                .to_owned(),
        )
        .await
}
