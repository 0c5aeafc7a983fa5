//! The wallets table: the sum of somebody's entries. Who never had an entry has no row.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ExprTrait, QueryOrder, QuerySelect};

use crate::coins::MOST;
use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// Somebody's coins.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "wallets")]
pub struct Model {
    /// Whose they are.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// How many.
    pub balance: i64,
    /// How many entries made it so.
    pub entries: i64,
    /// When that was last.
    pub updated_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What somebody has who never had an entry.
pub fn none(user: UserId) -> Model {
    Model { user_id: user, balance: 0, entries: 0, updated_at: Instant::UNIX_EPOCH }
}

/// Adds to a wallet, or takes from it. None: it would hold less than nothing, or more than it can.
pub async fn add(
    tx: &Work,
    user: UserId,
    amount: i64,
    now: Instant,
) -> Result<Option<Model>, DbErr> {
    if amount.unsigned_abs() > MOST.unsigned_abs() {
        return Ok(None);
    }
    let of_row = |column| Expr::col((Entity, column));
    let balance = || of_row(Column::Balance).add(amount);
    let entries = || of_row(Column::Entries).add(1);
    if amount < 0 {
        let taken = Entity::update_many()
            .col_expr(Column::Balance, balance())
            .col_expr(Column::Entries, entries())
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::UserId.eq(user))
            .filter(of_row(Column::Balance).gte(-amount));
        return Ok(taken.exec_with_returning(tx).await?.into_iter().next());
    }
    let first = ActiveModel {
        user_id: Set(user),
        balance: Set(amount),
        entries: Set(1),
        updated_at: Set(now),
    };
    let mut more = OnConflict::column(Column::UserId);
    more.value(Column::Balance, balance())
        .value(Column::Entries, entries())
        .update_column(Column::UpdatedAt)
        .action_and_where(of_row(Column::Balance).lte(MOST - amount));
    match Entity::insert(first).on_conflict(more).exec_with_returning(tx).await {
        Ok(wallet) => Ok(Some(wallet)),
        Err(DbErr::RecordNotInserted | DbErr::RecordNotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Somebody's.
pub async fn of(db: &impl ConnectionTrait, user: UserId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user).one(db).await
}

/// Some wallets after a user's, in the order of the users' ids.
pub async fn page(
    db: &impl ConnectionTrait,
    after: Option<UserId>,
    most: u64,
) -> Result<Vec<Model>, DbErr> {
    let wallets = Entity::find().order_by_asc(Column::UserId).limit(most);
    match after {
        Some(user) => wallets.filter(Column::UserId.gt(user)).all(db).await,
        None => wallets.all(db).await,
    }
}
