//! Games: rounds, and the leaderboards that are computed from them.

use sea_orm_migration::prelude::*;

use crate::m0002_people::Users;
use crate::{IN_TRANSACTION, ordered_text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0007_games"
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
    IsCounted,
    StartedAt,
    ExpiresAt,
    PlayedAt,
}

#[derive(DeriveIden)]
enum LeaderboardRows {
    Table,
    UserId,
    LeaderboardKey,
    NegatedPoints,
    ReachedAt,
    Rounds,
}

#[derive(DeriveIden)]
enum LeaderboardBuckets {
    Table,
    LeaderboardKey,
    NegatedPoints,
    ReachedAt,
    UserId,
    RowCount,
}

#[derive(DeriveIden)]
enum LeaderboardState {
    Table,
    Id,
    CountedUpTo,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        IN_TRANSACTION
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Box::pin(create_rounds(manager)).await?;
        Box::pin(create_leaderboard_rows(manager)).await?;
        Box::pin(create_leaderboard_buckets(manager)).await?;
        Box::pin(create_leaderboard_state(manager)).await
    }
}

async fn create_rounds(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
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
                .col(ColumnDef::new(Rounds::IsCounted).boolean().not_null())
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
    // Limits a user's open rounds to the number of slots: only an open round has a slot.
    let mut slots = index("rounds_slot");
    let slots = slots.col(Rounds::UserId).col(Rounds::Slot).unique();
    manager.create_index(slots.and_where(Expr::cust("slot IS NOT NULL")).take()).await?;
    let mut open = index("rounds_expires_at");
    let open = open.col(Rounds::ExpiresAt).and_where(Expr::cust("slot IS NOT NULL"));
    manager.create_index(open.take()).await?;
    let mut uncounted = index("rounds_uncounted");
    let uncounted = uncounted.col(Rounds::Id).and_where(Expr::cust("NOT is_counted"));
    manager.create_index(uncounted.take()).await
}

async fn create_leaderboard_rows(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Without a foreign key to users, which would lock their rows on each write.
    manager
        .create_table(
            Table::create()
                .table(LeaderboardRows::Table)
                .col(ColumnDef::new(LeaderboardRows::UserId).uuid().not_null())
                .col(
                    ColumnDef::new(LeaderboardRows::LeaderboardKey)
                        .custom(ordered_text(manager))
                        .not_null(),
                )
                .col(ColumnDef::new(LeaderboardRows::NegatedPoints).big_integer().not_null())
                .col(
                    ColumnDef::new(LeaderboardRows::ReachedAt)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .col(ColumnDef::new(LeaderboardRows::Rounds).big_integer().not_null())
                .primary_key(
                    Index::create()
                        .col(LeaderboardRows::UserId)
                        .col(LeaderboardRows::LeaderboardKey),
                )
                .to_owned(),
        )
        .await?;
    // The order of a leaderboard. All columns ascend, so that both databases can page by comparing row values.
    let order = Index::create()
        .name("leaderboard_rows_order")
        .table(LeaderboardRows::Table)
        .col(LeaderboardRows::LeaderboardKey)
        .col(LeaderboardRows::NegatedPoints)
        .col(LeaderboardRows::ReachedAt)
        .col(LeaderboardRows::UserId)
        .unique()
        .take();
    manager.create_index(order).await
}

async fn create_leaderboard_buckets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(LeaderboardBuckets::Table)
                .col(
                    ColumnDef::new(LeaderboardBuckets::LeaderboardKey)
                        .custom(ordered_text(manager))
                        .not_null(),
                )
                .col(ColumnDef::new(LeaderboardBuckets::NegatedPoints).big_integer().not_null())
                .col(
                    ColumnDef::new(LeaderboardBuckets::ReachedAt)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .col(ColumnDef::new(LeaderboardBuckets::UserId).uuid().not_null())
                .col(ColumnDef::new(LeaderboardBuckets::RowCount).big_integer().not_null())
                .primary_key(
                    Index::create()
                        .col(LeaderboardBuckets::LeaderboardKey)
                        .col(LeaderboardBuckets::NegatedPoints)
                        .col(LeaderboardBuckets::ReachedAt)
                        .col(LeaderboardBuckets::UserId),
                )
                .to_owned(),
        )
        .await
}

async fn create_leaderboard_state(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(LeaderboardState::Table)
                .col(ColumnDef::new(LeaderboardState::Id).integer().not_null().primary_key())
                .col(
                    ColumnDef::new(LeaderboardState::CountedUpTo)
                        .timestamp_with_time_zone()
                        .not_null(),
                )
                .to_owned(),
        )
        .await?;
    // The only row: no round is counted yet.
    let initial_state = Query::insert()
        .into_table(LeaderboardState::Table)
        .columns([LeaderboardState::Id, LeaderboardState::CountedUpTo])
        .values_panic([1.into(), Expr::cust("'1970-01-01T00:00:00+00:00'")])
        .take();
    manager.execute(initial_state).await
}
