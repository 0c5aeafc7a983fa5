//! Avatars: which picture somebody has now, and how often it changed.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_users::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0009_avatars"
    }
}

#[derive(DeriveIden)]
enum Avatars {
    Table,
    UserId,
    Version,
    Picture,
    UpdatedAt,
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
                    .table(Avatars::Table)
                    .col(ColumnDef::new(Avatars::UserId).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Avatars::Version).integer().not_null())
                    .col(ColumnDef::new(Avatars::Picture).text())
                    .col(ColumnDef::new(Avatars::UpdatedAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Avatars::Table, Avatars::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        // No two have the same one, and the sweep asks for them by name.
        let by_picture = Index::create()
            .name("avatars_picture")
            .table(Avatars::Table)
            .col(Avatars::Picture)
            .unique()
            .take();
        manager.create_index(by_picture).await
    }
}
