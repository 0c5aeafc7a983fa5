//! Rows of shared rate limits: the attempts of each key in its current window.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, LockBehavior, LockType, OnConflict};
use sea_orm::{ActiveValue::Set, Condition, ExprTrait, QuerySelect};

use crate::platform::clock::{MAX_SKEW, Timestamp};
use crate::platform::database::{Work, pad_to_pow2};

/// How many rows one statement deletes.
const PURGE_BATCH_SIZE: u64 = 1_000;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "rate_limits")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub attempts: i32,
    pub window_ends_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Counts one attempt, unless `max` attempts are counted already. A window that starts now ends at `window_end`.
/// Returns whether the attempt was counted.
pub async fn count_attempt(
    tx: &Work,
    key: &str,
    max: Option<i32>,
    now: Timestamp,
    window_end: Timestamp,
) -> Result<bool, DbErr> {
    let current = |column| Expr::col((Entity, column));
    // A window that ends later than a new one would started before the clock was set back.
    let has_ended = || {
        let started_before_set_back = current(Column::WindowEndsAt).gt(window_end + MAX_SKEW);
        current(Column::WindowEndsAt).lte(now).or(started_before_set_back)
    };
    let if_ended =
        |new: Expr, otherwise: Expr| CaseStatement::new().case(has_ended(), new).finally(otherwise);
    let mut existing = OnConflict::column(Column::Key);
    existing
        .value(Column::Attempts, if_ended(Expr::value(1), current(Column::Attempts).add(1)))
        .value(
            Column::WindowEndsAt,
            if_ended(Expr::value(window_end), current(Column::WindowEndsAt)),
        );
    if let Some(max) = max {
        existing.action_cond_where(
            Condition::any().add(has_ended()).add(current(Column::Attempts).lt(max)),
        );
    }
    let new_row =
        ActiveModel { key: Set(key.to_owned()), attempts: Set(1), window_ends_at: Set(window_end) };
    let counted = Entity::insert(new_row).on_conflict(existing).exec_without_returning(tx).await?;
    Ok(counted == 1)
}

/// Undoes one attempt. Without attempts left the row is deleted, as a window starts with its first attempt.
pub async fn refund(tx: &Work, key: &str) -> Result<(), DbErr> {
    let of_key = Column::Key.eq(key);
    let last_attempt = Entity::delete_many().filter(of_key.clone()).filter(Column::Attempts.lte(1));
    if last_attempt.exec(tx).await?.rows_affected == 0 {
        let one_less = Expr::col(Column::Attempts).sub(1);
        Entity::update_many().col_expr(Column::Attempts, one_less).filter(of_key).exec(tx).await?;
    }
    Ok(())
}

/// Finds the row of a key.
pub async fn find_by_key(db: &impl ConnectionTrait, key: &str) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(key).one(db).await
}

/// Deletes a batch of rows whose window has ended, skipping rows that are being counted. Returns how many.
pub async fn purge_expired(tx: &Work, now: Timestamp) -> Result<u64, DbErr> {
    let expired = Entity::find().filter(Column::WindowEndsAt.lte(now)).limit(PURGE_BATCH_SIZE);
    // Without effect on SQLite, which has one writer.
    let expired = expired.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let keys: Vec<String> = expired.all(tx).await?.into_iter().map(|row| row.key).collect();
    Ok(Entity::delete_many()
        .filter(Column::Key.is_in(pad_to_pow2(&keys)))
        .exec(tx)
        .await?
        .rows_affected)
}
