//! The board_blocks table: how many places there are between two positions of a board. A rank is the places
//! of the blocks before, and those of its own block that are counted one by one.

use std::collections::BTreeMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, QueryOrder};

use super::{POSITION, Position, position};
use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::{Work, split_to_pow2};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "board_blocks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub board: String,
    /// Where it begins, together with the next two: it goes on to where the next one begins.
    #[sea_orm(primary_key, auto_increment = false)]
    pub minus_points: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub reached_at: Instant,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// How many places it has.
    pub places: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How many places the blocks of a board have, by where they begin.
pub type Blocks = BTreeMap<Position, i64>;

fn of_board(board: &str) -> Select<Entity> {
    Entity::find().filter(Column::Board.eq(board))
}

/// Where the block of a position begins. None: the board has no blocks yet.
async fn beginning(
    db: &impl ConnectionTrait,
    board: &str,
    at: Position,
) -> Result<Option<Position>, DbErr> {
    let before = of_board(board).filter(position().lte(at.row()));
    let last = POSITION.into_iter().fold(before, |it, column| it.order_by_desc(Expr::col(column)));
    Ok(last.one(db).await?.map(|block| block.position()))
}

/// The blocks of a board that have the positions between two. None of them: the board has no blocks yet.
pub async fn between(
    db: &impl ConnectionTrait,
    board: &str,
    (first, last): (Position, Position),
) -> Result<Blocks, DbErr> {
    let Some(from) = beginning(db, board, first).await? else { return Ok(Blocks::new()) };
    let blocks = of_board(board).filter(position().gte(from.row()));
    let blocks = blocks.filter(position().lte(last.row())).all(db).await?.into_iter();
    Ok(blocks.map(|block| (block.position(), block.places)).collect())
}

impl Model {
    fn position(&self) -> Position {
        let Self { minus_points, reached_at, user_id: user, .. } = *self;
        Position { minus_points, reached_at, user }
    }
}

/// Writes blocks of boards, new ones or other counts of old ones.
pub async fn write(tx: &Work, blocks: Vec<(String, Position, i64)>) -> Result<(), DbErr> {
    let rows = blocks.into_iter().map(|(board, at, places)| ActiveModel {
        board: Set(board),
        minus_points: Set(at.minus_points),
        reached_at: Set(at.reached_at),
        user_id: Set(at.user),
        places: Set(places),
    });
    for rows in split_to_pow2(rows.collect()) {
        let mut known = OnConflict::columns([
            Column::Board,
            Column::MinusPoints,
            Column::ReachedAt,
            Column::UserId,
        ]);
        known.update_column(Column::Places);
        Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Removes a block.
pub async fn remove(tx: &Work, board: &str, at: Position) -> Result<(), DbErr> {
    let of_board = Entity::delete_many().filter(Column::Board.eq(board));
    of_board.filter(position().eq(at.row())).exec(tx).await?;
    Ok(())
}

/// Writes that the block of a position has one place less.
pub async fn count_out(tx: &Work, board: &str, at: Position) -> Result<(), DbErr> {
    let Some(from) = beginning(tx, board, at).await? else { return Ok(()) };
    Entity::update_many()
        .col_expr(Column::Places, Expr::col(Column::Places).sub(1))
        .filter(Column::Board.eq(board))
        .filter(position().eq(from.row()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Removes the blocks of the boards whose keys are from one up to another.
pub async fn sweep(tx: &Work, from: &str, to: &str) -> Result<(), DbErr> {
    let over = Entity::delete_many().filter(Column::Board.gte(from));
    over.filter(Column::Board.lt(to)).exec(tx).await?;
    Ok(())
}
