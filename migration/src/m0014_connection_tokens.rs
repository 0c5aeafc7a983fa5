//! Columns of connections for the renewal of access tokens: failures, and when the next attempt is due.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0014_connection_tokens"
    }
}

#[derive(DeriveIden)]
enum Connections {
    Table,
    Id,
    Provider,
    RefreshFailures,
    NextRefreshAt,
    FailedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column by a statement.
        for column in [
            ColumnDef::new(Connections::RefreshFailures).integer().not_null().default(0).take(),
            ColumnDef::new(Connections::NextRefreshAt).timestamp_with_time_zone().take(),
            ColumnDef::new(Connections::FailedAt).timestamp_with_time_zone().take(),
        ] {
            let addition = Table::alter().table(Connections::Table).add_column(column).take();
            manager.alter_table(addition).await?;
        }
        let by_next_refresh = Index::create()
            .name("connections_next_refresh_at")
            .table(Connections::Table)
            .col(Connections::NextRefreshAt)
            .and_where(Expr::cust("next_refresh_at IS NOT NULL"))
            .take();
        manager.create_index(by_next_refresh).await?;
        let by_provider = Index::create()
            .name("connections_provider_id")
            .table(Connections::Table)
            .col(Connections::Provider)
            .col(Connections::Id)
            .take();
        manager.create_index(by_provider).await
    }
}
