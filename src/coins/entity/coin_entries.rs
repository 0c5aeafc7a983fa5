//! The coin_entries table: the ledger. Rows are never changed or deleted.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ActiveEnum, Condition, IntoActiveModel, QueryOrder, QuerySelect};
use serde::Serialize;

use crate::error::Result;
use crate::ids::{CoinEntryId, UserId};
use crate::platform::clock::Timestamp;
use crate::platform::database::{
    MAX_ROWS, RowSetSql, RowUuid, Work, is_unique_violation, pad_to_pow2, row_set_sql,
};

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "coin_entries")]
pub struct Model {
    /// Owner of the wallet.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Sequence number within the wallet: 1, 2, 3, ... without gaps.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// Public id.
    pub id: CoinEntryId,
    /// Amount that was added, or removed if negative.
    pub amount: i64,
    /// Balance of the wallet after this entry.
    pub balance_after: i64,
    /// Reason of the entry.
    pub reason: EntryReason,
    /// Unique reference to the cause, such as a round's id.
    #[sea_orm(unique)]
    pub reference: String,
    /// Explanation by an operator.
    pub note: Option<String>,
    /// Time of the posting.
    pub created_at: Timestamp,
}

/// Reason of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EntryReason {
    /// Bonus of a campaign.
    Bonus,
    /// Reward for a won round.
    GameReward,
    /// Adjustment by an operator.
    Adjustment,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The columns that verify the ledger: user, number, amount, balance after.
pub type LedgerRow = (UserId, i64, i64, i64);

/// Inserts an entry.
pub async fn insert(tx: &Work, row: Model) -> Result<(), DbErr> {
    Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether an insert failed because its reference exists already.
pub fn is_duplicate_reference(error: &DbErr) -> bool {
    is_unique_violation(error, "coin_entries", &["reference"])
}

/// An entry of a batch.
#[derive(Clone, Debug, Serialize)]
pub struct NewEntry<'a> {
    /// Owner of the wallet.
    pub user_id: RowUuid,
    /// Sequence number within the wallet.
    pub number: i64,
    /// Public id.
    pub id: RowUuid,
    /// Amount that is added.
    pub amount: i64,
    /// Balance of the wallet after this entry.
    pub balance_after: i64,
    /// Unique reference.
    pub reference: &'a str,
}

const INSERT: RowSetSql = row_set_sql!("sql/insert_entries");
const FIND_POSTED: RowSetSql = row_set_sql!("sql/find_posted");
const FIND_AMOUNTS: RowSetSql = row_set_sql!("sql/find_amounts");

/// Inserts entries. Returns whether none of their references exists already.
pub async fn insert_many(
    tx: &Work,
    entries: &[NewEntry<'_>],
    reason: EntryReason,
    now: Timestamp,
) -> Result<bool> {
    let values = [now.into(), reason.to_value().into()];
    let statement = INSERT.bind(tx.get_database_backend(), entries, values)?;
    Ok(tx.execute_raw(statement).await?.rows_affected() == entries.len() as u64)
}

/// Finds which of these references were posted.
pub async fn find_posted(tx: &Work, references: &[&str]) -> Result<Vec<String>> {
    let statement = FIND_POSTED.bind(tx.get_database_backend(), references, [])?;
    let rows = tx.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

/// The amounts and times of the entries with these references.
pub async fn find_amounts(tx: &Work, references: &[String]) -> Result<Vec<(i64, Timestamp)>> {
    let mut amounts = Vec::new();
    for references in references.chunks(MAX_ROWS) {
        let statement = FIND_AMOUNTS.bind(tx.get_database_backend(), references, [])?;
        for row in tx.query_all_raw(statement).await? {
            amounts.push((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        }
    }
    Ok(amounts)
}

/// A page of a user's entries, newest first, before a sequence number.
pub async fn find_page(
    db: &impl ConnectionTrait,
    user: UserId,
    before: Option<i64>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut entries = Entity::find().filter(Column::UserId.eq(user));
    if let Some(number) = before {
        entries = entries.filter(Column::Number.lt(number));
    }
    entries.order_by_desc(Column::Number).limit(limit).all(db).await
}

/// Entries with these references.
pub async fn find_by_references(
    db: &impl ConnectionTrait,
    references: &[String],
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Reference.is_in(pad_to_pow2(references))).all(db).await
}

/// A batch of entries in primary key order, starting after an entry, up to and including the user `last_user`.
pub async fn list_ledger_rows(
    db: &impl ConnectionTrait,
    after: Option<(UserId, i64)>,
    last_user: Option<UserId>,
    limit: u64,
) -> Result<Vec<LedgerRow>, DbErr> {
    let columns = [Column::UserId, Column::Number, Column::Amount, Column::BalanceAfter];
    let mut entries = Entity::find().select_only().columns(columns);
    if let Some((user, number)) = after {
        // Both databases use the primary key for a comparison of row values.
        let key = Expr::tuple([Column::UserId, Column::Number].map(Expr::col));
        entries = entries.filter(key.gt(Expr::tuple([user.into(), number.into()])));
    }
    let up_to_last_user = last_user.map(|user| Column::UserId.lte(user));
    let entries = entries.filter(Condition::all().add_option(up_to_last_user));
    let entries = entries.order_by_asc(Column::UserId).order_by_asc(Column::Number).limit(limit);
    entries.into_tuple().all(db).await
}
