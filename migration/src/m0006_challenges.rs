//! Challenges: codes that were sent by SMS and wait for an answer.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_people::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_challenges"
    }
}

#[derive(DeriveIden)]
enum Challenges {
    Table,
    Id,
    UserId,
    SessionId,
    Purpose,
    CodeHash,
    MessageId,
    CreatedAt,
    ExpiresAt,
    ResendAt,
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
                    .table(Challenges::Table)
                    .col(ColumnDef::new(Challenges::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Challenges::UserId).uuid().not_null())
                    .col(ColumnDef::new(Challenges::SessionId).uuid())
                    .col(ColumnDef::new(Challenges::Purpose).text().not_null())
                    .col(ColumnDef::new(Challenges::CodeHash).binary().not_null())
                    .col(ColumnDef::new(Challenges::MessageId).uuid().not_null())
                    .col(
                        ColumnDef::new(Challenges::CreatedAt).timestamp_with_time_zone().not_null(),
                    )
                    .col(
                        ColumnDef::new(Challenges::ExpiresAt).timestamp_with_time_zone().not_null(),
                    )
                    .col(ColumnDef::new(Challenges::ResendAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Challenges::Table, Challenges::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        for (name, column) in [
            ("challenges_user_id", Challenges::UserId),
            ("challenges_expires_at", Challenges::ExpiresAt),
        ] {
            manager
                .create_index(
                    Index::create().name(name).table(Challenges::Table).col(column).to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}
