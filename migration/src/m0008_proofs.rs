//! How a session was proven, which password an account has, and what operators did to accounts.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_users::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_proofs"
    }
}

#[derive(DeriveIden)]
enum Sessions {
    Table,
    SecondFactor,
}

#[derive(DeriveIden)]
enum Credentials {
    Table,
    Version,
}

#[derive(DeriveIden)]
enum UserProofs {
    TwoFactorWaived,
}

#[derive(DeriveIden)]
enum AccountAudit {
    Table,
    Id,
    UserId,
    Deed,
    DoneAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Every session of before was opened by a password alone.
        let second_factor =
            ColumnDef::new(Sessions::SecondFactor).boolean().not_null().default(false).take();
        manager
            .alter_table(Table::alter().table(Sessions::Table).add_column(second_factor).to_owned())
            .await?;
        let version = ColumnDef::new(Credentials::Version).integer().not_null().default(1).take();
        manager
            .alter_table(Table::alter().table(Credentials::Table).add_column(version).to_owned())
            .await?;
        let waived =
            ColumnDef::new(UserProofs::TwoFactorWaived).boolean().not_null().default(false).take();
        manager
            .alter_table(Table::alter().table(Users::Table).add_column(waived).to_owned())
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(AccountAudit::Table)
                    .col(ColumnDef::new(AccountAudit::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(AccountAudit::UserId).uuid().not_null())
                    .col(ColumnDef::new(AccountAudit::Deed).text().not_null())
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
}
