//! Proving who one is: passwords, sessions, their endings, and the keys that sign access tokens.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_users::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_accounts"
    }
}

#[derive(DeriveIden)]
enum Credentials {
    Table,
    UserId,
    PasswordHash,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Sessions {
    Table,
    Id,
    UserId,
    UserAgent,
    IpAddress,
    Generation,
    RefreshHashes,
    ParentHash,
    Chosen,
    Forks,
    CreatedAt,
    LastUsedAt,
    EndedAt,
}

#[derive(DeriveIden)]
enum Endings {
    Table,
    Id,
    Kind,
    Subject,
    EndedAt,
}

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    Id,
    PublicKey,
    SealedPrivateKey,
    CreatedAt,
    RetiredAt,
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
                    .table(Credentials::Table)
                    .col(ColumnDef::new(Credentials::UserId).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Credentials::PasswordHash).text().not_null())
                    .col(
                        ColumnDef::new(Credentials::UpdatedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .from(Credentials::Table, Credentials::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Sessions::Table)
                    .col(ColumnDef::new(Sessions::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Sessions::UserId).uuid().not_null())
                    .col(ColumnDef::new(Sessions::UserAgent).text())
                    .col(ColumnDef::new(Sessions::IpAddress).text())
                    .col(ColumnDef::new(Sessions::Generation).integer().not_null())
                    .col(ColumnDef::new(Sessions::RefreshHashes).binary().not_null())
                    .col(ColumnDef::new(Sessions::ParentHash).binary())
                    .col(ColumnDef::new(Sessions::Chosen).integer())
                    .col(ColumnDef::new(Sessions::Forks).binary().not_null())
                    .col(ColumnDef::new(Sessions::CreatedAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Sessions::LastUsedAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Sessions::EndedAt).timestamp_with_time_zone())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Sessions::Table, Sessions::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("sessions_user_id")
                    .table(Sessions::Table)
                    .col(Sessions::UserId)
                    .col(Sessions::LastUsedAt)
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("sessions_last_used_at")
                    .table(Sessions::Table)
                    .col(Sessions::LastUsedAt)
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Endings::Table)
                    .col(ColumnDef::new(Endings::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Endings::Kind).text().not_null())
                    .col(ColumnDef::new(Endings::Subject).uuid())
                    .col(ColumnDef::new(Endings::EndedAt).timestamp_with_time_zone().not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("endings_ended_at")
                    .table(Endings::Table)
                    .col(Endings::EndedAt)
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(SigningKeys::Table)
                    .col(ColumnDef::new(SigningKeys::Id).text().not_null().primary_key())
                    .col(ColumnDef::new(SigningKeys::PublicKey).binary().not_null())
                    .col(ColumnDef::new(SigningKeys::SealedPrivateKey).binary().not_null())
                    .col(
                        ColumnDef::new(SigningKeys::CreatedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
                    .col(ColumnDef::new(SigningKeys::RetiredAt).timestamp_with_time_zone())
                    .to_owned(),
            )
            .await
    }
}
