//! Indexes that the plans of a filled database lacked: for codes whose text goes, for connections that are due, and for
//! the health of providers.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0016_missing_indexes"
    }
}

#[derive(DeriveIden)]
enum Challenges {
    Table,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum Connections {
    Table,
    Id,
    Provider,
    Scheme,
    Status,
    ExpiresAt,
    LastErrorCode,
    FailedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sealed = Index::create()
            .name("challenges_sealed")
            .table(Challenges::Table)
            .col(Challenges::ExpiresAt)
            .and_where(Expr::cust("sealed_identifier IS NOT NULL"))
            .take();
        manager.create_index(sealed).await?;
        let connections = |name: &str| Index::create().name(name).table(Connections::Table).take();
        let indexes = [
            connections("connections_due")
                .col(Connections::Provider)
                .col(Connections::Scheme)
                .col(Connections::Status)
                .col(Connections::ExpiresAt)
                .take(),
            // The figures of health read nothing but these two.
            connections("connections_provider_status")
                .col(Connections::Provider)
                .col(Connections::Status)
                .col(Connections::Id)
                .take(),
            connections("connections_last_error")
                .col(Connections::Provider)
                .col(Connections::LastErrorCode)
                .col(Connections::FailedAt)
                .and_where(Expr::cust("last_error_code IS NOT NULL AND failed_at IS NOT NULL"))
                .take(),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
