//! Tables of the connections module: connections with their sealed credentials, the log of their calls, and mappings.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0013_connections"
    }
}

#[derive(DeriveIden)]
enum Connections {
    Table,
    Id,
    SecretHash,
    Provider,
    Scheme,
    SealedCredentials,
    CredentialsVersion,
    CredentialsSetAt,
    ExpiresAt,
    LastRefreshedAt,
    Label,
    EndUser,
    Status,
    LastError,
    LastErrorCode,
    Calls,
    LastUsedAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum ConnectionCalls {
    Table,
    Id,
    ConnectionId,
    CalledAt,
    Method,
    Path,
    Status,
    ErrorCode,
    DurationMs,
    Attempts,
}

#[derive(DeriveIden)]
enum Mappings {
    Table,
    Id,
    Mapping,
    Items,
    Label,
    CreatedAt,
    LastUsedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_connections(manager)).await?;
        Box::pin(create_calls(manager)).await?;
        Box::pin(create_mappings(manager)).await
    }
}

async fn create_connections(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Connections::Table)
                .col(ColumnDef::new(Connections::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Connections::SecretHash).binary().not_null())
                .col(ColumnDef::new(Connections::Provider).text().not_null())
                .col(ColumnDef::new(Connections::Scheme).text().not_null())
                .col(ColumnDef::new(Connections::SealedCredentials).binary().not_null())
                .col(ColumnDef::new(Connections::CredentialsVersion).integer().not_null())
                .col(
                    ColumnDef::new(Connections::CredentialsSetAt)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .col(ColumnDef::new(Connections::ExpiresAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Connections::LastRefreshedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Connections::Label).text())
                .col(ColumnDef::new(Connections::EndUser).text())
                .col(ColumnDef::new(Connections::Status).text().not_null())
                .col(ColumnDef::new(Connections::LastError).text())
                .col(ColumnDef::new(Connections::LastErrorCode).text())
                .col(ColumnDef::new(Connections::Calls).big_integer().not_null())
                .col(ColumnDef::new(Connections::LastUsedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Connections::CreatedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await?;
    let by_expiry = Index::create()
        .name("connections_expires_at")
        .table(Connections::Table)
        .col(Connections::ExpiresAt)
        .and_where(Expr::cust("expires_at IS NOT NULL"))
        .take();
    manager.create_index(by_expiry).await
}

async fn create_calls(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Without a foreign key: a deleted connection must not wait for the deletion of a long log.
    manager
        .create_table(
            Table::create()
                .table(ConnectionCalls::Table)
                .col(ColumnDef::new(ConnectionCalls::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(ConnectionCalls::ConnectionId).uuid().not_null())
                .col(
                    ColumnDef::new(ConnectionCalls::CalledAt).timestamp_with_time_zone().not_null(),
                )
                .col(ColumnDef::new(ConnectionCalls::Method).text().not_null())
                .col(ColumnDef::new(ConnectionCalls::Path).text().not_null())
                .col(ColumnDef::new(ConnectionCalls::Status).integer())
                .col(ColumnDef::new(ConnectionCalls::ErrorCode).text())
                .col(ColumnDef::new(ConnectionCalls::DurationMs).integer().not_null())
                .col(ColumnDef::new(ConnectionCalls::Attempts).integer().not_null())
                .to_owned(),
        )
        .await?;
    let by_connection = Index::create()
        .name("connection_calls_connection_id_id")
        .table(ConnectionCalls::Table)
        .col(ConnectionCalls::ConnectionId)
        .col(ConnectionCalls::Id)
        .take();
    manager.create_index(by_connection).await
}

async fn create_mappings(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Mappings::Table)
                .col(ColumnDef::new(Mappings::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Mappings::Mapping).text().not_null())
                .col(ColumnDef::new(Mappings::Items).text())
                .col(ColumnDef::new(Mappings::Label).text())
                .col(ColumnDef::new(Mappings::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Mappings::LastUsedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await?;
    let by_use = Index::create()
        .name("mappings_last_used_at")
        .table(Mappings::Table)
        .col(Mappings::LastUsedAt)
        .take();
    manager.create_index(by_use).await
}
