//! Challenges: codes that were sent by SMS and wait for an answer.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_users::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_challenges"
    }
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
    Sends,
    Due,
    CreatedAt,
    ExpiresAt,
    ResendAt,
    AnsweredAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let moment = |column| ColumnDef::new(column).timestamp_with_time_zone().take();
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
                    .col(ColumnDef::new(Challenges::Sends).integer().not_null())
                    .col(ColumnDef::new(Challenges::Due).boolean().not_null())
                    .col(moment(Challenges::CreatedAt).not_null())
                    .col(moment(Challenges::ExpiresAt).not_null())
                    .col(moment(Challenges::ResendAt).not_null())
                    .col(moment(Challenges::AnsweredAt))
                    .foreign_key(
                        ForeignKey::create()
                            .from(Challenges::Table, Challenges::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        index(manager, "user_id", None, Challenges::UserId).await?;
        index(manager, "expires_at", None, Challenges::ExpiresAt).await?;
        index(manager, "identifier_hash", None, Challenges::IdentifierHash).await?;
        index(manager, "due", Some(Expr::cust("due")), Challenges::CreatedAt).await
    }
}

async fn index(
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
