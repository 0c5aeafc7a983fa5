//! The users table, and a trigger that keeps phone numbers from changing.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::IN_TRANSACTION;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_people"
    }
}

#[derive(DeriveIden)]
pub enum Users {
    Table,
    Id,
    Nickname,
    NicknameKey,
    Name,
    Email,
    EmailKey,
    Phone,
    PhoneKey,
    PhoneVerifiedAt,
    Discoverable,
    TwoFactorEnabled,
    TwoFactorWaived,
    Role,
    CreatedAt,
    UpdatedAt,
    DeletedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_users(manager)).await?;
        Box::pin(create_phone_guard(manager)).await
    }
}

async fn create_users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Users::Table)
                .col(ColumnDef::new(Users::Id).uuid().not_null().primary_key())
                .col(ColumnDef::new(Users::Nickname).text())
                .col(ColumnDef::new(Users::NicknameKey).text())
                .col(ColumnDef::new(Users::Name).text())
                .col(ColumnDef::new(Users::Email).text())
                .col(ColumnDef::new(Users::EmailKey).text())
                .col(ColumnDef::new(Users::Phone).text())
                .col(ColumnDef::new(Users::PhoneKey).text())
                .col(ColumnDef::new(Users::PhoneVerifiedAt).timestamp_with_time_zone())
                .col(ColumnDef::new(Users::Discoverable).boolean().not_null())
                .col(ColumnDef::new(Users::TwoFactorEnabled).boolean().not_null())
                .col(ColumnDef::new(Users::TwoFactorWaived).boolean().not_null().default(false))
                .col(ColumnDef::new(Users::Role).text().not_null())
                .col(ColumnDef::new(Users::CreatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Users::UpdatedAt).timestamp_with_time_zone().not_null())
                .col(ColumnDef::new(Users::DeletedAt).timestamp_with_time_zone())
                .to_owned(),
        )
        .await?;
    for (name, column) in [
        ("users_nickname_key", Users::NicknameKey),
        ("users_email_key", Users::EmailKey),
        ("users_phone_key", Users::PhoneKey),
    ] {
        manager
            .create_index(
                Index::create().name(name).table(Users::Table).col(column).unique().to_owned(),
            )
            .await?;
    }
    Ok(())
}

/// Creates a trigger: a phone number can be set once, and cleared only when the user is deleted.
async fn create_phone_guard(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let statements: &[&str] = match manager.get_database_backend() {
        DbBackend::Postgres => &[
            "CREATE FUNCTION users_phone_guard() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
               RAISE EXCEPTION 'a phone number never changes' USING ERRCODE = 'check_violation';
             END $$",
            "CREATE TRIGGER users_phone_guard BEFORE UPDATE OF phone, phone_key ON users FOR EACH ROW
             WHEN (OLD.phone IS NOT NULL
                   AND (NEW.phone, NEW.phone_key) IS DISTINCT FROM (OLD.phone, OLD.phone_key)
                   AND NOT (NEW.phone IS NULL AND NEW.deleted_at IS NOT NULL))
             EXECUTE FUNCTION users_phone_guard()",
        ],
        _ => &["CREATE TRIGGER users_phone_guard BEFORE UPDATE OF phone, phone_key ON users FOR EACH ROW
             WHEN OLD.phone IS NOT NULL
                  AND (NEW.phone IS NOT OLD.phone OR NEW.phone_key IS NOT OLD.phone_key)
                  AND NOT (NEW.phone IS NULL AND NEW.deleted_at IS NOT NULL)
             BEGIN SELECT RAISE(ABORT, 'a phone number never changes'); END"],
    };
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
