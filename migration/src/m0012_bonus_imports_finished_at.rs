//! The index of the imports that have just ended, which those who watch all imports read after each change.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0012_bonus_imports_finished_at"
    }
}

#[derive(DeriveIden)]
enum BonusImports {
    Table,
    FinishedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("bonus_imports_finished_at")
            .table(BonusImports::Table)
            .col(BonusImports::FinishedAt)
            .take();
        manager.create_index(index).await
    }
}
