//! Avatars: each user's current picture, and pictures whose files are to be deleted.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;
use crate::m0002_people::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_avatars"
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
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_avatars(manager)).await?;
        Box::pin(create_avatar_discards(manager)).await
    }
}

async fn create_avatars(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
    // A picture has one owner. The purge looks pictures up by name.
    let by_picture = Index::create()
        .name("avatars_picture")
        .table(Avatars::Table)
        .col(Avatars::Picture)
        .unique()
        .take();
    manager.create_index(by_picture).await
}

async fn create_avatar_discards(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
