//! The row that is written to see whether the database keeps what is written.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0016_write_probe"
    }
}

#[derive(DeriveIden)]
enum WriteProbe {
    Table,
    Number,
    ProbedAt,
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
                    .table(WriteProbe::Table)
                    .col(ColumnDef::new(WriteProbe::Number).integer().not_null().primary_key())
                    .col(ColumnDef::new(WriteProbe::ProbedAt).timestamp_with_time_zone().not_null())
                    .to_owned(),
            )
            .await
    }
}
