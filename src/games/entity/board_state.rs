//! How far the boards are: one row, which whoever changes the boards changes first.

use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QuerySelect};

use super::rounds;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

const ONLY: i32 = 1;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "board_state")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    /// The boards have every round whose play was answered before this.
    pub updated_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How far the boards are.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct State {
    /// They have every round whose play was answered before this.
    pub updated_at: Instant,
    /// Whether rounds wait that they do not have.
    pub is_behind: bool,
}

/// How far they are.
pub async fn read(db: &impl ConnectionTrait) -> Result<State, DbErr> {
    let state = Entity::find_by_id(ONLY)
        .select_only()
        .column(Column::UpdatedAt)
        .column_as(Expr::exists(rounds::untallied()), "is_behind");
    state.into_model().one(db).await?.ok_or_else(gone)
}

/// Keeps everybody else from changing the boards until the transaction ends. Answers how far they are by then.
pub async fn lock(tx: &Work) -> Result<Instant, DbErr> {
    let same = Entity::update_many().col_expr(Column::Number, Expr::value(ONLY));
    let locked = same.filter(Column::Number.eq(ONLY)).exec_with_returning(tx).await?;
    locked.first().map(|row| row.updated_at).ok_or_else(gone)
}

/// Writes how far they are.
pub async fn set(tx: &Work, updated_at: Instant) -> Result<(), DbErr> {
    let row = Entity::update_many().col_expr(Column::UpdatedAt, Expr::value(updated_at));
    row.filter(Column::Number.eq(ONLY)).exec(tx).await?;
    Ok(())
}

fn gone() -> DbErr {
    DbErr::RecordNotFound("the row of board_state".to_owned())
}
