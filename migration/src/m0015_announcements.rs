//! Announcements: topics that changed, which every instance reads.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0015_announcements"
    }
}

#[derive(DeriveIden)]
enum Announcements {
    Table,
    Id,
    Topic,
    MadeAt,
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
                    .table(Announcements::Table)
                    .col(ColumnDef::new(Announcements::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Announcements::Topic).text().not_null())
                    .col(
                        ColumnDef::new(Announcements::MadeAt).timestamp_with_time_zone().not_null(),
                    )
                    .to_owned(),
            )
            .await
    }
}
