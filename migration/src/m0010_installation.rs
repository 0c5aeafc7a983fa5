//! The installation: an id by which its instances find each other where they share something with others.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0010_installation"
    }
}

#[derive(DeriveIden)]
enum Installation {
    Table,
    Number,
    Id,
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
                    .table(Installation::Table)
                    .col(ColumnDef::new(Installation::Number).integer().not_null().primary_key())
                    .col(ColumnDef::new(Installation::Id).uuid().not_null())
                    .to_owned(),
            )
            .await
    }
}
