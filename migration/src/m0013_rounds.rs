//! Rounds of games.

use sea_orm_migration::prelude::*;

use crate::WHOLE_OR_NOT_AT_ALL;
use crate::m0001_users::Users;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0013_rounds"
    }
}

#[derive(DeriveIden)]
enum Rounds {
    Table,
    Id,
    UserId,
    Game,
    Status,
    Slot,
    SeedHash,
    SealedSeed,
    Seed,
    ClientSeed,
    Move,
    Outcome,
    Won,
    Points,
    IsTallied,
    StartedAt,
    ExpiresAt,
    PlayedAt,
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
                    .table(Rounds::Table)
                    .col(ColumnDef::new(Rounds::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(Rounds::UserId).uuid().not_null())
                    .col(ColumnDef::new(Rounds::Game).text().not_null())
                    .col(ColumnDef::new(Rounds::Status).text().not_null())
                    .col(ColumnDef::new(Rounds::Slot).small_integer())
                    .col(ColumnDef::new(Rounds::SeedHash).binary().not_null())
                    .col(ColumnDef::new(Rounds::SealedSeed).binary())
                    .col(ColumnDef::new(Rounds::Seed).binary())
                    .col(ColumnDef::new(Rounds::ClientSeed).text())
                    .col(ColumnDef::new(Rounds::Move).text())
                    .col(ColumnDef::new(Rounds::Outcome).integer())
                    .col(ColumnDef::new(Rounds::Won).boolean())
                    .col(ColumnDef::new(Rounds::Points).integer())
                    .col(ColumnDef::new(Rounds::IsTallied).boolean().not_null())
                    .col(ColumnDef::new(Rounds::StartedAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Rounds::ExpiresAt).timestamp_with_time_zone().not_null())
                    .col(ColumnDef::new(Rounds::PlayedAt).timestamp_with_time_zone())
                    .foreign_key(
                        ForeignKey::create()
                            .from(Rounds::Table, Rounds::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        let index = |name: &str| Index::create().name(name).table(Rounds::Table).take();
        let mut of_user = index("rounds_user_id");
        manager.create_index(of_user.col(Rounds::UserId).col(Rounds::Id).take()).await?;
        // As many open rounds as there are slots: those that are not open have none.
        let mut slots = index("rounds_slot");
        let slots = slots.col(Rounds::UserId).col(Rounds::Slot).unique();
        manager.create_index(slots.and_where(Expr::cust("slot IS NOT NULL")).take()).await?;
        let mut open = index("rounds_expires_at");
        let open = open.col(Rounds::ExpiresAt).and_where(Expr::cust("slot IS NOT NULL"));
        manager.create_index(open.take()).await?;
        let mut untallied = index("rounds_untallied");
        let untallied = untallied.col(Rounds::Id).and_where(Expr::cust("NOT is_tallied"));
        manager.create_index(untallied.take()).await
    }
}
