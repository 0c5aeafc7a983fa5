//! The board_places table: how everybody stands on each board.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{ExprTrait, OnConflict, Query};
use sea_orm::{FromQueryResult, IntoActiveModel, QueryOrder, QuerySelect, Statement};

use super::{POSITION, Position, position};
use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2, split_to_pow2};

/// Somebody's place on a board.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "board_places")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The key of the board.
    #[sea_orm(primary_key, auto_increment = false)]
    pub board: String,
    /// Their points, negated.
    pub minus_points: i64,
    /// When they reached them: when the newest round with points was played, else the first round of all.
    pub reached_at: Instant,
    /// How many rounds they played.
    pub rounds: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Their points.
    pub fn points(&self) -> i64 {
        -self.minus_points
    }

    /// Where it stands.
    pub fn position(&self) -> Position {
        let Self { minus_points, reached_at, user_id: user, .. } = *self;
        Position { minus_points, reached_at, user }
    }
}

/// A place and which one it is, from 1 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Which one it is.
    pub rank: i64,
    /// The place.
    pub place: Model,
}

fn in_order(places: Select<Entity>) -> Select<Entity> {
    POSITION.into_iter().fold(places, |places, column| places.order_by_asc(Expr::col(column)))
}

/// The first ones of a board.
pub async fn first(db: &impl ConnectionTrait, board: &str, most: u64) -> Result<Vec<Model>, DbErr> {
    in_order(Entity::find().filter(Column::Board.eq(board))).limit(most).all(db).await
}

/// The place on a board of each of some who have one.
pub async fn of_users(
    db: &impl ConnectionTrait,
    board: &str,
    users: &[UserId],
) -> Result<Vec<Model>, DbErr> {
    let of_board = Entity::find().filter(Column::Board.eq(board));
    of_board.filter(Column::UserId.is_in(pad_to_pow2(users))).all(db).await
}

/// Somebody's place on a board, and up to two before and two after it, with the rank of the first of them. One
/// statement, so that all of it is of one moment. It reads the counts of the blocks and the places of one block;
/// of the others it reads those that it answers.
const AROUND: &str = include_str!("around.sql");

#[derive(FromQueryResult)]
struct Near {
    #[sea_orm(nested)]
    place: Model,
    first_rank: i64,
}

/// Somebody's place on a board with those around it, up to two before it and two after. None: they have none.
pub async fn around(
    db: &impl ConnectionTrait,
    board: &str,
    user: UserId,
) -> Result<Vec<Ranked>, DbErr> {
    let values = [user.into(), board.into()];
    let around = Statement::from_sql_and_values(db.get_database_backend(), AROUND, values);
    let near = Near::find_by_statement(around).all(db).await?;
    let rank =
        |(before, near): (i64, Near)| Ranked { rank: near.first_rank + before, place: near.place };
    Ok((0..).zip(near).map(rank).collect())
}

/// Where the place stands that comes so many after the first one from a position on.
pub async fn position_after(
    db: &impl ConnectionTrait,
    board: &str,
    from: Position,
    places: u64,
) -> Result<Option<Position>, DbErr> {
    let from = Entity::find().filter(Column::Board.eq(board)).filter(position().gte(from.row()));
    let place = in_order(from).offset(places).limit(1).one(db).await?;
    Ok(place.map(|place| place.position()))
}

/// Writes places, new ones or those that moved.
pub async fn write(tx: &Work, places: Vec<Model>) -> Result<(), DbErr> {
    for places in split_to_pow2(places) {
        let mut known = OnConflict::columns([Column::UserId, Column::Board]);
        known.update_columns([Column::MinusPoints, Column::ReachedAt, Column::Rounds]);
        let rows = places.into_iter().map(|place| place.into_active_model().reset_all());
        Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Removes somebody from all boards. Answers where they were.
pub async fn forget(tx: &Work, user: UserId) -> Result<Vec<Model>, DbErr> {
    let places = Entity::delete_many().filter(Column::UserId.eq(user));
    places.exec_with_returning(tx).await
}

/// Removes some places of the boards whose keys are from one up to another. Answers how many.
pub async fn sweep(tx: &Work, from: &str, to: &str, most: u64) -> Result<u64, DbErr> {
    let key = [Column::UserId, Column::Board];
    let some = Query::select()
        .columns(key)
        .from(Entity)
        .and_where(Column::Board.gte(from))
        .and_where(Column::Board.lt(to))
        .limit(most)
        .take();
    let these = Expr::tuple(key.map(Expr::col)).in_subquery(some);
    Ok(Entity::delete_many().filter(these).exec(tx).await?.rows_affected)
}
