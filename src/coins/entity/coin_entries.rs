//! The coin_entries table: every movement of coins. Rows are added, and neither changed nor removed.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};

use crate::ids::{CoinEntryId, UserId};
use crate::platform::clock::Instant;
use crate::platform::database::{Work, is_unique_violation, pad_to_pow2};

/// A movement of coins, as it is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "coin_entries")]
pub struct Model {
    /// Whose wallet it changed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The how manieth of that wallet, from 1 on, without a gap.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// Its name outside.
    pub id: CoinEntryId,
    /// How many coins came, or went when it is negative.
    pub amount: i64,
    /// How many there were then.
    pub balance_after: i64,
    /// What they were for.
    pub reason: Reason,
    /// What it was that they were for. No two entries have the same.
    #[sea_orm(unique)]
    pub reference: String,
    /// What an operator said to it.
    pub note: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// What coins are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// A campaign gave them.
    Bonus,
    /// A round was won.
    GameReward,
    /// An operator set something right.
    Adjustment,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What the check of the ledger needs of an entry.
pub type Step = (UserId, i64, i64, i64);

/// Adds one.
pub async fn insert(tx: &Work, row: Model) -> Result<(), DbErr> {
    Entity::insert(row.into_active_model().reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// Whether one was refused because its reference is booked already.
pub fn is_booked(error: &DbErr) -> bool {
    is_unique_violation(error, "coin_entries", &["reference"])
}

/// Some of somebody's, the newest first, before a number.
pub async fn page(
    db: &impl ConnectionTrait,
    user: UserId,
    before: Option<i64>,
    rows: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut entries = Entity::find().filter(Column::UserId.eq(user));
    if let Some(number) = before {
        entries = entries.filter(Column::Number.lt(number));
    }
    entries.order_by_desc(Column::Number).limit(rows).all(db).await
}

/// Those of some references.
pub async fn of_references(
    db: &impl ConnectionTrait,
    references: &[String],
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Reference.is_in(pad_to_pow2(references))).all(db).await
}

/// Some entries of the users up to one, in their order, after an entry: user, number, amount, and how many
/// coins there were then.
pub async fn steps(
    db: &impl ConnectionTrait,
    after: Option<(UserId, i64)>,
    until: Option<UserId>,
    most: u64,
) -> Result<Vec<Step>, DbErr> {
    let columns = [Column::UserId, Column::Number, Column::Amount, Column::BalanceAfter];
    let mut entries = Entity::find().select_only().columns(columns);
    if let Some((user, number)) = after {
        // Row values, which both databases walk along the key.
        let place = Expr::tuple([Column::UserId, Column::Number].map(Expr::col));
        entries = entries.filter(place.gt(Expr::tuple([user.into(), number.into()])));
    }
    let until = until.map(|user| Column::UserId.lte(user));
    let entries = entries.filter(Condition::all().add_option(until));
    let entries = entries.order_by_asc(Column::UserId).order_by_asc(Column::Number).limit(most);
    entries.into_tuple().all(db).await
}
