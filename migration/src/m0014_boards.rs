//! Leaderboards: everybody's place on each, counts of places by which a rank is known, and how far they are.

use sea_orm_migration::prelude::*;

use crate::{WHOLE_OR_NOT_AT_ALL, ordered_text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0014_boards"
    }
}

#[derive(DeriveIden)]
enum BoardPlaces {
    Table,
    UserId,
    Board,
    MinusPoints,
    ReachedAt,
    Rounds,
}

#[derive(DeriveIden)]
enum BoardBlocks {
    Table,
    Board,
    MinusPoints,
    ReachedAt,
    UserId,
    Places,
}

#[derive(DeriveIden)]
enum BoardState {
    Table,
    Number,
    UpdatedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE_OR_NOT_AT_ALL
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // No key to users: writing places would lock their rows.
        manager
            .create_table(
                Table::create()
                    .table(BoardPlaces::Table)
                    .col(ColumnDef::new(BoardPlaces::UserId).uuid().not_null())
                    .col(
                        ColumnDef::new(BoardPlaces::Board).custom(ordered_text(manager)).not_null(),
                    )
                    .col(ColumnDef::new(BoardPlaces::MinusPoints).big_integer().not_null())
                    .col(
                        ColumnDef::new(BoardPlaces::ReachedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
                    .col(ColumnDef::new(BoardPlaces::Rounds).big_integer().not_null())
                    .primary_key(Index::create().col(BoardPlaces::UserId).col(BoardPlaces::Board))
                    .to_owned(),
            )
            .await?;
        // The order of a board. All of it ascends, so that row values walk it on both databases.
        let order = Index::create()
            .name("board_places_order")
            .table(BoardPlaces::Table)
            .col(BoardPlaces::Board)
            .col(BoardPlaces::MinusPoints)
            .col(BoardPlaces::ReachedAt)
            .col(BoardPlaces::UserId)
            .unique()
            .take();
        manager.create_index(order).await?;
        manager
            .create_table(
                Table::create()
                    .table(BoardBlocks::Table)
                    .col(
                        ColumnDef::new(BoardBlocks::Board).custom(ordered_text(manager)).not_null(),
                    )
                    .col(ColumnDef::new(BoardBlocks::MinusPoints).big_integer().not_null())
                    .col(
                        ColumnDef::new(BoardBlocks::ReachedAt)
                            .timestamp_with_time_zone()
                            .not_null(),
                    )
                    .col(ColumnDef::new(BoardBlocks::UserId).uuid().not_null())
                    .col(ColumnDef::new(BoardBlocks::Places).big_integer().not_null())
                    .primary_key(
                        Index::create()
                            .col(BoardBlocks::Board)
                            .col(BoardBlocks::MinusPoints)
                            .col(BoardBlocks::ReachedAt)
                            .col(BoardBlocks::UserId),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(BoardState::Table)
                    .col(ColumnDef::new(BoardState::Number).integer().not_null().primary_key())
                    .col(
                        ColumnDef::new(BoardState::UpdatedAt).timestamp_with_time_zone().not_null(),
                    )
                    .to_owned(),
            )
            .await?;
        // The one row: no round is on the boards yet.
        let beginning = Query::insert()
            .into_table(BoardState::Table)
            .columns([BoardState::Number, BoardState::UpdatedAt])
            .values_panic([1.into(), Expr::cust("'1970-01-01T00:00:00+00:00'")])
            .take();
        manager.execute(beginning).await
    }
}
