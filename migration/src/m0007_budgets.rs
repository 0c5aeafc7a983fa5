//! Budgets: what was used of limits that all instances share.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0007_budgets"
    }
}

#[derive(DeriveIden)]
enum Budgets {
    Table,
    Key,
    Used,
    EndsAt,
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
                    .table(Budgets::Table)
                    .col(ColumnDef::new(Budgets::Key).text().not_null().primary_key())
                    .col(ColumnDef::new(Budgets::Used).integer().not_null())
                    .col(ColumnDef::new(Budgets::EndsAt).timestamp_with_time_zone().not_null())
                    .to_owned(),
            )
            .await?;
        let by_end = Index::create()
            .name("budgets_ends_at")
            .table(Budgets::Table)
            .col(Budgets::EndsAt)
            .take();
        manager.create_index(by_end).await
    }
}
