//! Accounts: passwords, sessions and their revocations, signing keys, SMS codes, and the audit log of operators.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;
use crate::m0002_people::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_accounts"
    }
}

#[derive(DeriveIden)]
enum Credentials {
    Table,
    UserId,
    PasswordHash,
    Version,
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
    ConfirmedIssue,
    Forks,
    SecondFactorVerified,
    CreatedAt,
    LastUsedAt,
    EndedAt,
}

#[derive(DeriveIden)]
enum Revocations {
    Table,
    Id,
    Kind,
    SubjectId,
    RevokedAt,
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

#[derive(DeriveIden, Clone, Copy)]
enum Challenges {
    Table,
    Id,
    UserId,
    SessionId,
    Purpose,
    IdentifierHash,
    SealedIdentifier,
    CodeHash,
    MessageId,
    SendCount,
    SendPending,
    CreatedAt,
    ExpiresAt,
    ResendAt,
    ConsumedAt,
}

#[derive(DeriveIden)]
enum AccountAudit {
    Table,
    Id,
    UserId,
    Action,
    DoneAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_credentials(manager)).await?;
        Box::pin(create_sessions(manager)).await?;
        Box::pin(create_revocations(manager)).await?;
        Box::pin(create_signing_keys(manager)).await?;
        Box::pin(create_challenges(manager)).await?;
        Box::pin(create_account_audit(manager)).await
    }
}

async fn create_credentials(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Credentials::Table)
                .col(ColumnDef::new(Credentials::UserId).uuid().not_null().primary_key())
                .col(ColumnDef::new(Credentials::PasswordHash).text().not_null())
                .col(ColumnDef::new(Credentials::Version).integer().not_null().default(1))
                .col(ColumnDef::new(Credentials::UpdatedAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(Credentials::Table, Credentials::UserId)
                        .to(Users::Table, Users::Id),
                )
                .to_owned(),
        )
        .await
}

async fn create_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
                .col(ColumnDef::new(Sessions::ConfirmedIssue).integer())
                .col(ColumnDef::new(Sessions::Forks).binary().not_null())
                .col(
                    ColumnDef::new(Sessions::SecondFactorVerified)
                        .boolean()
                        .not_null()
                        .default(false),
                )
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
        .await
}

async fn create_revocations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Revocations::Table)
                .col(ColumnDef::new(Revocations::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Revocations::Kind).text().not_null())
                .col(ColumnDef::new(Revocations::SubjectId).uuid())
                .col(ColumnDef::new(Revocations::RevokedAt).timestamp_with_time_zone().not_null())
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("revocations_revoked_at")
                .table(Revocations::Table)
                .col(Revocations::RevokedAt)
                .to_owned(),
        )
        .await
}

async fn create_signing_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(SigningKeys::Table)
                .col(ColumnDef::new(SigningKeys::Id).text().not_null().primary_key())
                .col(ColumnDef::new(SigningKeys::PublicKey).binary().not_null())
                .col(ColumnDef::new(SigningKeys::SealedPrivateKey).binary().not_null())
                .col(ColumnDef::new(SigningKeys::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(SigningKeys::RetiredAt).timestamp_with_time_zone())
                .to_owned(),
        )
        .await
}

async fn create_challenges(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let timestamp_column = |column| ColumnDef::new(column).timestamp_with_time_zone().take();
    manager
        .create_table(
            Table::create()
                .table(Challenges::Table)
                .col(ColumnDef::new(Challenges::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Challenges::UserId).uuid())
                .col(ColumnDef::new(Challenges::SessionId).uuid())
                .col(ColumnDef::new(Challenges::Purpose).text().not_null())
                .col(ColumnDef::new(Challenges::IdentifierHash).binary())
                .col(ColumnDef::new(Challenges::SealedIdentifier).binary())
                .col(ColumnDef::new(Challenges::CodeHash).binary())
                .col(ColumnDef::new(Challenges::MessageId).uuid())
                .col(ColumnDef::new(Challenges::SendCount).integer().not_null())
                .col(ColumnDef::new(Challenges::SendPending).boolean().not_null())
                .col(timestamp_column(Challenges::CreatedAt).not_null())
                .col(timestamp_column(Challenges::ExpiresAt).not_null())
                .col(timestamp_column(Challenges::ResendAt).not_null())
                .col(timestamp_column(Challenges::ConsumedAt))
                .foreign_key(
                    ForeignKey::create()
                        .from(Challenges::Table, Challenges::UserId)
                        .to(Users::Table, Users::Id),
                )
                .to_owned(),
        )
        .await?;
    create_challenge_index(manager, "user_id", None, Challenges::UserId).await?;
    create_challenge_index(manager, "expires_at", None, Challenges::ExpiresAt).await?;
    create_challenge_index(manager, "identifier_hash", None, Challenges::IdentifierHash).await?;
    create_challenge_index(
        manager,
        "send_pending",
        Some(Expr::cust("send_pending")),
        Challenges::CreatedAt,
    )
    .await
}

async fn create_challenge_index(
    manager: &SchemaManager<'_>,
    name: &str,
    condition: Option<Expr>,
    column: Challenges,
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(format!("challenges_{name}")).table(Challenges::Table).col(column);
    if let Some(condition) = condition {
        index.cond_where(condition);
    }
    manager.create_index(index).await
}

async fn create_account_audit(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(AccountAudit::Table)
                .col(ColumnDef::new(AccountAudit::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(AccountAudit::UserId).uuid().not_null())
                .col(ColumnDef::new(AccountAudit::Action).text().not_null())
                .col(ColumnDef::new(AccountAudit::DoneAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(AccountAudit::Table, AccountAudit::UserId)
                        .to(Users::Table, Users::Id),
                )
                .to_owned(),
        )
        .await?;
    let by_user = Index::create()
        .name("account_audit_user_id")
        .table(AccountAudit::Table)
        .col(AccountAudit::UserId)
        .take();
    manager.create_index(by_user).await
}
