//! Coins: what everybody has, and every movement that made it so.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_users::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0012_coins"
    }
}

#[derive(DeriveIden)]
enum Wallets {
    Table,
    UserId,
    Balance,
    Entries,
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
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
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
                    .col(ColumnDef::new(Wallets::Entries).big_integer().not_null())
                    .col(ColumnDef::new(Wallets::UpdatedAt).timestamp_with_time_zone().not_null())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Wallets::Table, Wallets::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        // The order of the key is that of the ledger's check, and of one's own list.
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
                    .col(
                        ColumnDef::new(CoinEntries::CreatedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
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
}
