//! Coins: a wallet per user with its balance, and the ledger of all entries.

use sea_orm_migration::prelude::*;

use crate::IN_TRANSACTION;
use crate::m0002_people::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_coins"
    }
}

#[derive(DeriveIden)]
enum Wallets {
    Table,
    UserId,
    Balance,
    EntryCount,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum CoinEntries {
    Table,
    UserId,
    Number,
    Id,
    Amount,
    BalanceAfter,
    Reason,
    Reference,
    Note,
    CreatedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_wallets(manager)).await?;
        Box::pin(create_coin_entries(manager)).await
    }
}

async fn create_wallets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Wallets::Table)
                .col(ColumnDef::new(Wallets::UserId).uuid().not_null().primary_key())
                .col(
                    ColumnDef::new(Wallets::Balance)
                        .big_integer()
                        .not_null()
                        .check(Expr::col(Wallets::Balance).gte(0)),
                )
                .col(ColumnDef::new(Wallets::EntryCount).big_integer().not_null())
                .col(ColumnDef::new(Wallets::UpdatedAt).timestamp_with_time_zone().not_null())
                .foreign_key(
                    ForeignKey::create()
                        .from(Wallets::Table, Wallets::UserId)
                        .to(Users::Table, Users::Id),
                )
                .to_owned(),
        )
        .await
}

async fn create_coin_entries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // The primary key has the order in which the ledger is verified and a user's entries are listed.
    manager
        .create_table(
            Table::create()
                .table(CoinEntries::Table)
                .col(ColumnDef::new(CoinEntries::UserId).uuid().not_null())
                .col(ColumnDef::new(CoinEntries::Number).big_integer().not_null())
                .col(ColumnDef::new(CoinEntries::Id).uuid().not_null())
                .col(ColumnDef::new(CoinEntries::Amount).big_integer().not_null())
                .col(ColumnDef::new(CoinEntries::BalanceAfter).big_integer().not_null())
                .col(ColumnDef::new(CoinEntries::Reason).text().not_null())
                .col(ColumnDef::new(CoinEntries::Reference).text().not_null())
                .col(ColumnDef::new(CoinEntries::Note).text())
                .col(ColumnDef::new(CoinEntries::CreatedAt).timestamp_with_time_zone().not_null())
                .primary_key(Index::create().col(CoinEntries::UserId).col(CoinEntries::Number))
                .foreign_key(
                    ForeignKey::create()
                        .from(CoinEntries::Table, CoinEntries::UserId)
                        .to(Users::Table, Users::Id),
                )
                .to_owned(),
        )
        .await?;
    let by_reference = Index::create()
        .name("coin_entries_reference")
        .table(CoinEntries::Table)
        .col(CoinEntries::Reference)
        .unique()
        .take();
    manager.create_index(by_reference).await
}
