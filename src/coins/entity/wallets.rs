//! The wallets table: balance per user. A user without entries has no row.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ExprTrait, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::error::Result;
use crate::ids::{Id, UserId};
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql};

/// Maximum balance: the largest integer that JavaScript represents exactly.
pub const MAX_BALANCE: i64 = (1 << 53) - 1;

/// A user's balance.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "wallets")]
pub struct Model {
    /// Owner.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Balance in coins.
    pub balance: i64,
    /// Number of the wallet's entries.
    pub entry_count: i64,
    /// Time of the latest entry.
    pub updated_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The wallet of a user without entries.
pub fn empty(user: UserId) -> Model {
    Model { user_id: user, balance: 0, entry_count: 0, updated_at: Timestamp::UNIX_EPOCH }
}

/// Adds an amount, which may be negative, to a wallet. Returns `None` if the balance would be out of range.
pub async fn change_balance(
    tx: &Work,
    user: UserId,
    amount: i64,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    if amount.unsigned_abs() > MAX_BALANCE.unsigned_abs() {
        return Ok(None);
    }
    // Qualified, because the bare name is ambiguous in ON CONFLICT.
    let stored = |column| Expr::col((Entity, column));
    let balance = || stored(Column::Balance).add(amount);
    let entry_count = || stored(Column::EntryCount).add(1);
    if amount < 0 {
        let update = Entity::update_many()
            .col_expr(Column::Balance, balance())
            .col_expr(Column::EntryCount, entry_count())
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::UserId.eq(user))
            .filter(stored(Column::Balance).gte(-amount));
        return Ok(update.exec_with_returning(tx).await?.into_iter().next());
    }
    let new_wallet = ActiveModel {
        user_id: Set(user),
        balance: Set(amount),
        entry_count: Set(1),
        updated_at: Set(now),
    };
    let mut on_conflict = OnConflict::column(Column::UserId);
    on_conflict
        .value(Column::Balance, balance())
        .value(Column::EntryCount, entry_count())
        .update_column(Column::UpdatedAt)
        .action_and_where(stored(Column::Balance).lte(MAX_BALANCE - amount));
    match Entity::insert(new_wallet).on_conflict(on_conflict).exec_with_returning(tx).await {
        Ok(wallet) => Ok(Some(wallet)),
        Err(DbErr::RecordNotInserted | DbErr::RecordNotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The state of a wallet after a batch of entries.
#[derive(Clone, Debug, Serialize)]
pub struct NewState {
    /// Owner.
    pub user_id: RowUuid,
    /// Balance in coins.
    pub balance: i64,
    /// Number of the wallet's entries.
    pub entry_count: i64,
}

const LOCK: RowSetSql = row_set_sql!("sql/lock_wallets");
const UPDATE: RowSetSql = row_set_sql!("sql/update_wallets");
const INSERT: RowSetSql = row_set_sql!("sql/insert_wallets");

/// Finds the wallets of these users, and locks them in the order of the users' ids. Users without a wallet are left out.
pub async fn lock_many(tx: &Work, users: &[UserId]) -> Result<Vec<Model>> {
    let users: Vec<RowUuid> = users.iter().map(|user| RowUuid(user.uuid())).collect();
    let statement = LOCK.bind(tx.get_database_backend(), &users, [])?;
    Ok(Entity::find().from_raw_sql(statement).all(tx).await?)
}

/// Updates wallets that are locked.
pub async fn update_many(tx: &Work, states: &[NewState], now: Timestamp) -> Result<()> {
    let statement = UPDATE.bind(tx.get_database_backend(), states, [now.into()])?;
    tx.execute_raw(statement).await?;
    Ok(())
}

/// Inserts new wallets. Returns whether none of them exists already.
pub async fn insert_many(tx: &Work, states: &[NewState], now: Timestamp) -> Result<bool> {
    let statement = INSERT.bind(tx.get_database_backend(), states, [now.into()])?;
    Ok(tx.execute_raw(statement).await?.rows_affected() == states.len() as u64)
}

/// The wallet of a user.
pub async fn find_by_user(db: &impl ConnectionTrait, user: UserId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user).one(db).await
}

/// A batch of wallets in the order of user ids, after a user.
pub async fn find_page(
    db: &impl ConnectionTrait,
    after: Option<UserId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let wallets = Entity::find().order_by_asc(Column::UserId).limit(limit);
    match after {
        Some(user) => wallets.filter(Column::UserId.gt(user)).all(db).await,
        None => wallets.all(db).await,
    }
}
