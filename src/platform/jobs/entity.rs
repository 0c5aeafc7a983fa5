//! What one instance does for all: when it is due again, and how far it got.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition};

use crate::platform::clock::{Instant, MAX_SKEW};
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub due_at: Instant,
    pub watermark: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A job that had a turn before.
pub async fn by_name(db: &impl ConnectionTrait, name: &str) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(name).one(db).await
}

/// Takes the turn, when it is due, until a moment. It is due too when it would be later than after the longest wait.
/// Answers the watermark.
pub async fn take(
    tx: &Work,
    name: &str,
    (now, longest): (Instant, Duration),
    until: Instant,
) -> Result<Option<Option<String>>, DbErr> {
    let first = ActiveModel { name: Set(name.to_owned()), due_at: Set(now), watermark: Set(None) };
    let is_there = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(first).on_conflict(is_there).exec_without_returning(tx).await?;
    let is_due = Condition::any()
        .add(Column::DueAt.lte(now))
        .add(Column::DueAt.gt(now + longest + MAX_SKEW));
    let taken = Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(until))
        .filter(Column::Name.eq(name))
        .filter(is_due)
        .exec_with_returning(tx)
        .await?;
    Ok(taken.into_iter().next().map(|job| job.watermark))
}

/// Ends the turn that lasts until a moment, unless it is over and another has it.
pub async fn end(
    tx: &Work,
    name: &str,
    until: Instant,
    watermark: Option<String>,
    due: Instant,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(due))
        .col_expr(Column::Watermark, Expr::value(watermark))
        .filter(Column::Name.eq(name))
        .filter(Column::DueAt.eq(until))
        .exec(tx)
        .await?;
    Ok(())
}
