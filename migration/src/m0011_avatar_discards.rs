//! Pictures that nobody shows any more and whose files are to go.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0011_avatar_discards"
    }
}

#[derive(DeriveIden)]
enum AvatarDiscards {
    Table,
    Picture,
    UserId,
    DiscardedAt,
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
                    .table(AvatarDiscards::Table)
                    .col(ColumnDef::new(AvatarDiscards::Picture).text().not_null().primary_key())
                    .col(ColumnDef::new(AvatarDiscards::UserId).uuid().not_null())
                    .col(
                        ColumnDef::new(AvatarDiscards::DiscardedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
                    .to_owned(),
            )
            .await?;
        let by_age = Index::create()
            .name("avatar_discards_discarded_at")
            .table(AvatarDiscards::Table)
            .col(AvatarDiscards::DiscardedAt)
            .take();
        manager.create_index(by_age).await?;
        let by_user = Index::create()
            .name("avatar_discards_user_id")
            .table(AvatarDiscards::Table)
            .col(AvatarDiscards::UserId)
            .take();
        manager.create_index(by_user).await
    }
}
