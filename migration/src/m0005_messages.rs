//! Messages: the queue of SMS, how many are where, and the gateways that take them.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_messages"
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
    Characters,
    Segments,
    Campaign,
    Status,
    Attempts,
    Retries,
    Gateway,
    GatewayId,
    BoundTo,
    Error,
    CreatedAt,
    QueuedAt,
    DueAt,
    ExpiresAt,
    HandedOverAt,
    SentAt,
    DeliveredAt,
}

#[derive(DeriveIden)]
enum MessageMoves {
    Table,
    Id,
    Kind,
    FromStatus,
    ToStatus,
    Count,
    MovedAt,
}

#[derive(DeriveIden)]
enum MessageGateways {
    Table,
    Name,
    FreeAt,
    Failures,
    TroubledAt,
    RestsUntil,
    TryingUntil,
    StoppedSince,
    Trouble,
}

#[derive(DeriveIden)]
enum EarlyReceipts {
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
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(messages(manager)).await?;
        Box::pin(moves(manager)).await?;
        Box::pin(gateways(manager)).await?;
        Box::pin(early_receipts(manager)).await
    }
}

async fn messages(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Messages::Table)
                .col(ColumnDef::new(Messages::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Messages::Kind).small_integer().not_null())
                .col(ColumnDef::new(Messages::Phone).text().not_null())
                .col(ColumnDef::new(Messages::Body).text().not_null())
                .col(ColumnDef::new(Messages::SealedBody).binary())
                .col(ColumnDef::new(Messages::Characters).text().not_null())
                .col(ColumnDef::new(Messages::Segments).small_integer().not_null())
                .col(ColumnDef::new(Messages::Campaign).text())
                .col(ColumnDef::new(Messages::Status).text().not_null())
                .col(ColumnDef::new(Messages::Attempts).integer().not_null())
                .col(ColumnDef::new(Messages::Retries).small_integer().not_null())
                .col(ColumnDef::new(Messages::Gateway).text())
                .col(ColumnDef::new(Messages::GatewayId).text())
                .col(ColumnDef::new(Messages::BoundTo).text())
                .col(ColumnDef::new(Messages::Error).text())
                .col(ColumnDef::new(Messages::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Messages::QueuedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Messages::DueAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Messages::ExpiresAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Messages::HandedOverAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Messages::SentAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Messages::DeliveredAt).timestamp_with_time_zone())
                .to_owned(),
        )
        .await?;
    let due = Expr::cust("due_at IS NOT NULL");
    index(manager, "due", Some(due), &[Messages::Status, Messages::Kind, Messages::DueAt]).await?;
    let queued = || Some(Expr::cust("status = 'QUEUED'"));
    index(manager, "expiring", queued(), &[Messages::ExpiresAt]).await?;
    index(manager, "waiting", queued(), &[Messages::Kind, Messages::QueuedAt]).await?;
    // What an operator looks for, among the many that went well.
    // SQLite sees through OR, and not through IN.
    let troubled = ["UNKNOWN", "CANCELLED", "EXPIRED", "FAILED", "UNDELIVERED"];
    let troubled = Expr::cust(troubled.map(|status| format!("status = '{status}'")).join(" OR "));
    index(manager, "troubled", Some(troubled), &[Messages::Status, Messages::Id]).await?;
    let taken = Expr::cust("gateway_id IS NOT NULL");
    index(manager, "gateway_id", Some(taken), &[Messages::GatewayId]).await?;
    let campaign = Expr::cust("campaign IS NOT NULL");
    index(manager, "campaign", Some(campaign), &[Messages::Campaign, Messages::Id]).await?;
    index(manager, "phone", None, &[Messages::Phone, Messages::Id]).await
}

async fn index(
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

async fn moves(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(MessageMoves::Table)
                .col(ColumnDef::new(MessageMoves::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(MessageMoves::Kind).small_integer().not_null())
                .col(ColumnDef::new(MessageMoves::FromStatus).text())
                .col(ColumnDef::new(MessageMoves::ToStatus).text().not_null())
                .col(ColumnDef::new(MessageMoves::Count).big_integer().not_null())
                .col(ColumnDef::new(MessageMoves::MovedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("message_moves_moved_at")
                .table(MessageMoves::Table)
                .col(MessageMoves::MovedAt)
                .to_owned(),
        )
        .await
}

async fn gateways(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(MessageGateways::Table)
                .col(ColumnDef::new(MessageGateways::Name).text().not_null().primary_key())
                .col(ColumnDef::new(MessageGateways::FreeAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(MessageGateways::Failures).integer().not_null())
                .col(ColumnDef::new(MessageGateways::TroubledAt).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::RestsUntil).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::TryingUntil).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::StoppedSince).timestamp_with_time_zone())
                .col(ColumnDef::new(MessageGateways::Trouble).text())
                .to_owned(),
        )
        .await
}

async fn early_receipts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(EarlyReceipts::Table)
                .col(ColumnDef::new(EarlyReceipts::Gateway).text().not_null())
                .col(ColumnDef::new(EarlyReceipts::GatewayId).text().not_null())
                .col(ColumnDef::new(EarlyReceipts::Status).text().not_null())
                .col(ColumnDef::new(EarlyReceipts::Error).text())
                .col(
                    ColumnDef::new(EarlyReceipts::ReceivedAt).timestamp_with_time_zone().not_null(),
                )
                .primary_key(
                    Index::create()
                        .col(EarlyReceipts::Gateway)
                        .col(EarlyReceipts::GatewayId)
                        .col(EarlyReceipts::Status),
                )
                .to_owned(),
        )
        .await
}
