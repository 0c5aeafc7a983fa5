//! How many messages went from one status to another: what is where is the sum of all moves.
//!
//! Each deed adds a row and waits for none, so that no deed waits for another's counter; rows that are a
//! while old are added up into one.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, Expr, Func};
use sea_orm::{ActiveValue::Set, FromQueryResult, QueryOrder, QuerySelect};

use crate::messages::status::{Kind, Status};
use crate::platform::Platform;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "message_moves")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: Kind,
    /// None: they were written.
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub count: i64,
    pub moved_at: Instant,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// From where to where.
pub type Way = (Kind, Option<Status>, Status);

/// How many went which way.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Moves {
    pub kind: Kind,
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub count: i64,
}

impl Moves {
    fn way(&self) -> Way {
        (self.kind, self.from_status, self.to_status)
    }
}

impl From<Model> for Moves {
    fn from(row: Model) -> Self {
        let Model { kind, from_status, to_status, count, .. } = row;
        Self { kind, from_status, to_status, count }
    }
}

/// Adds moves.
pub async fn add(
    tx: &Work,
    platform: &Platform,
    ways: impl IntoIterator<Item = Way>,
) -> Result<(), DbErr> {
    let moves = ways.into_iter().map(|(kind, from_status, to_status)| Moves {
        kind,
        from_status,
        to_status,
        count: 1,
    });
    insert(tx, platform, add_up(moves), platform.now()).await
}

/// One sum for each way.
fn add_up(moves: impl IntoIterator<Item = Moves>) -> Vec<Moves> {
    let mut sums: Vec<Moves> = Vec::new();
    for moves in moves {
        match sums.iter_mut().find(|sum| sum.way() == moves.way()) {
            Some(sum) => sum.count += moves.count,
            None => sums.push(moves),
        }
    }
    sums
}

async fn insert(
    tx: &Work,
    platform: &Platform,
    moves: Vec<Moves>,
    moved_at: Instant,
) -> Result<(), DbErr> {
    if moves.is_empty() {
        return Ok(());
    }
    let rows = moves.into_iter().map(|moves| ActiveModel {
        id: Set(platform.new_id()),
        kind: Set(moves.kind),
        from_status: Set(moves.from_status),
        to_status: Set(moves.to_status),
        count: Set(moves.count),
        moved_at: Set(moved_at),
    });
    Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// All moves, summed.
pub async fn sums(db: &impl ConnectionTrait) -> Result<Vec<Moves>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Kind, Column::FromStatus, Column::ToStatus])
        .column_as(total(), "count")
        .group_by(Column::Kind)
        .group_by(Column::FromStatus)
        .group_by(Column::ToStatus)
        .into_model()
        .all(db)
        .await
}

/// How many were handed over since a moment.
pub async fn sent_since(db: &impl ConnectionTrait, moment: Instant) -> Result<i64, DbErr> {
    let sum: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(total(), "count")
        .filter(Column::ToStatus.eq(Status::Sent))
        .filter(Column::MovedAt.gt(moment))
        .into_tuple()
        .one(db)
        .await?;
    Ok(sum.flatten().unwrap_or(0))
}

/// Whether any came to a status after one moment and before another.
pub async fn has_any_to(
    db: &impl ConnectionTrait,
    status: Status,
    after: Instant,
    before: Instant,
) -> Result<bool, DbErr> {
    let some = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ToStatus.eq(status))
        .filter(Column::MovedAt.gt(after))
        .filter(Column::MovedAt.lt(before));
    Ok(some.into_tuple::<Uuid>().one(db).await?.is_some())
}

/// Adds so many rows up to a moment into one for each way. Two instances that do so at once add up different
/// rows, so the sum of all stays what it is. Answers how many there were.
pub async fn fold(tx: &Work, platform: &Platform, until: Instant, most: u64) -> Result<u64, DbErr> {
    let some = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::MovedAt.lte(until))
        .order_by_asc(Column::MovedAt)
        .limit(most);
    let ids: Vec<Uuid> = some.into_tuple().all(tx).await?;
    let these = Entity::delete_many().filter(Column::Id.is_in(ids));
    let folded = these.exec_with_returning(tx).await?;
    let count = folded.len() as u64;
    insert(tx, platform, add_up(folded.into_iter().map(Moves::from)), until).await?;
    Ok(count)
}

/// A sum of integers is a decimal on PostgreSQL.
fn total() -> Expr {
    Expr::expr(Func::cast_as(Column::Count.sum(), Alias::new("bigint")))
}
