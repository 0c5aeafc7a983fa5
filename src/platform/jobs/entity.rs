//! Rows of leases: when each job is due again, and its progress.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition};

use crate::platform::clock::{MAX_SKEW, Timestamp};
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "leases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// When the job is due again. While a lease is held, when it expires.
    pub due_at: Timestamp,
    /// The progress that the last run saved.
    pub watermark: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Finds the row of a job. None before its first run.
pub async fn find_by_name(db: &impl ConnectionTrait, name: &str) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(name).one(db).await
}

/// Acquires a lease until `expires_at`, if the job is due, and returns its watermark. A job whose due time is more than
/// `max_wait` ahead is due too: the clock was set back.
pub async fn acquire(
    tx: &Work,
    name: &str,
    (now, max_wait): (Timestamp, Duration),
    expires_at: Timestamp,
) -> Result<Option<Option<String>>, DbErr> {
    let new_row =
        ActiveModel { name: Set(name.to_owned()), due_at: Set(now), watermark: Set(None) };
    let keep_existing = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(new_row).on_conflict(keep_existing).exec_without_returning(tx).await?;
    let is_due = Condition::any()
        .add(Column::DueAt.lte(now))
        .add(Column::DueAt.gt(now + max_wait + MAX_SKEW));
    let acquired = Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(expires_at))
        .filter(Column::Name.eq(name))
        .filter(is_due)
        .exec_with_returning(tx)
        .await?;
    Ok(acquired.into_iter().next().map(|row| row.watermark))
}

/// Releases the lease that expires at `expires_at`, unless another instance acquired it meanwhile.
pub async fn release(
    tx: &Work,
    name: &str,
    expires_at: Timestamp,
    watermark: Option<String>,
    next_due: Timestamp,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(next_due))
        .col_expr(Column::Watermark, Expr::value(watermark))
        .filter(Column::Name.eq(name))
        .filter(Column::DueAt.eq(expires_at))
        .exec(tx)
        .await?;
    Ok(())
}
