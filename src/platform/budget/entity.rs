//! What was used of each budget, by its key, and until when that counts.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{CaseStatement, LockBehavior, LockType, OnConflict};
use sea_orm::{ActiveValue::Set, Condition, ExprTrait, QuerySelect};

use crate::platform::clock::{Instant, MAX_SKEW};
use crate::platform::database::{Work, pad_to_pow2};

/// The most that is dropped at once.
const CHUNK: u64 = 1_000;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "budgets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub used: i32,
    pub ends_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Uses one more, in a window that lasts until `end` if it begins now. With `most`, only while fewer are used. Answers
/// whether it was.
pub async fn count(
    tx: &Work,
    key: &str,
    most: Option<i32>,
    now: Instant,
    end: Instant,
) -> Result<bool, DbErr> {
    let of_row = |column| Expr::col((Entity, column));
    // A window that ends later than one that begins now began before the clock was set back.
    let is_over = || of_row(Column::EndsAt).lte(now).or(of_row(Column::EndsAt).gt(end + MAX_SKEW));
    let or_anew =
        |anew: Expr, else_: Expr| CaseStatement::new().case(is_over(), anew).finally(else_);
    let mut existing = OnConflict::column(Column::Key);
    existing
        .value(Column::Used, or_anew(Expr::value(1), of_row(Column::Used).add(1)))
        .value(Column::EndsAt, or_anew(Expr::value(end), of_row(Column::EndsAt)));
    if let Some(most) = most {
        existing
            .action_cond_where(Condition::any().add(is_over()).add(of_row(Column::Used).lt(most)));
    }
    let first = ActiveModel { key: Set(key.to_owned()), used: Set(1), ends_at: Set(end) };
    let counted = Entity::insert(first).on_conflict(existing).exec_without_returning(tx).await?;
    Ok(counted == 1)
}

/// Takes one use back. A window in which nothing was used has not begun.
pub async fn uncount(tx: &Work, key: &str) -> Result<(), DbErr> {
    let of_key = Column::Key.eq(key);
    let only = Entity::delete_many().filter(of_key.clone()).filter(Column::Used.lte(1));
    if only.exec(tx).await?.rows_affected == 0 {
        let one_less = Expr::col(Column::Used).sub(1);
        Entity::update_many().col_expr(Column::Used, one_less).filter(of_key).exec(tx).await?;
    }
    Ok(())
}

/// What was used of a budget.
pub async fn by_key(db: &impl ConnectionTrait, key: &str) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(key).one(db).await
}

/// Drops some of what counts no longer, and waits for nobody who counts on. Answers how much.
pub async fn sweep(tx: &Work, now: Instant) -> Result<u64, DbErr> {
    let over = Entity::find().filter(Column::EndsAt.lte(now)).limit(CHUNK);
    // SQLite has one writer, and no such clause.
    let over = over.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let keys: Vec<String> = over.all(tx).await?.into_iter().map(|row| row.key).collect();
    Ok(Entity::delete_many()
        .filter(Column::Key.is_in(pad_to_pow2(&keys)))
        .exec(tx)
        .await?
        .rows_affected)
}
