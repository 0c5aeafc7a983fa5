//! The message_transitions table: counts of status transitions. The number of messages in a status is the number of
//! transitions to it, minus those from it. Each transition is also recorded for statistics.
//!
//! Each writer inserts rows of its own, so that no writer waits for another's counter. Rows that are old enough are
//! compacted to one per transition.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Alias, Expr, Func};
use sea_orm::{ActiveValue::Set, FromQueryResult, QueryOrder, QuerySelect};

use super::messages::Model as Message;
use crate::messages::measures::deltas;
use crate::messages::status::{Kind, Status};
use crate::messages::topics::transitions_topic;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::statistics::{self, Delta};

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "message_transitions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: Kind,
    /// None for new messages.
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub count: i64,
    pub occurred_at: Timestamp,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A message's change of status.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The lane.
    pub kind: Kind,
    /// The campaign that the message belongs to.
    pub campaign: Option<String>,
    /// The previous status. None for a new message.
    pub from: Option<Status>,
    /// When it reached the previous status. None if it waited or was being sent.
    pub from_at: Option<Timestamp>,
    /// The new status.
    pub to: Status,
    /// When it reached the new status.
    pub at: Timestamp,
}

impl Transition {
    /// The transition of a message to a new status. `state_at` of the message is of its previous status.
    pub fn new(message: &Message, from: Option<Status>, to: Status, at: Timestamp) -> Self {
        let (kind, campaign) = (message.kind, message.campaign.clone());
        Self { kind, campaign, from, from_at: message.state_at, to, at }
    }

    /// What it changes of the statistics.
    fn deltas(&self) -> impl Iterator<Item = Delta> {
        let campaign = self.campaign.as_deref();
        let left = self.from.zip(self.from_at);
        let left = left.into_iter().flat_map(move |(from, at)| deltas(from, at, campaign, -1));
        left.chain(deltas(self.to, self.at, campaign, 1))
    }
}

/// How many messages made a transition.
#[derive(Clone, Debug, FromQueryResult)]
pub struct TransitionCount {
    pub kind: Kind,
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub count: i64,
}

impl TransitionCount {
    fn transition(&self) -> (Kind, Option<Status>, Status) {
        (self.kind, self.from_status, self.to_status)
    }
}

impl From<Model> for TransitionCount {
    fn from(row: Model) -> Self {
        let Model { kind, from_status, to_status, count, .. } = row;
        Self { kind, from_status, to_status, count }
    }
}

/// Records transitions. Their commit is published.
pub async fn record(
    tx: &Work,
    platform: &Platform,
    transitions: impl IntoIterator<Item = Transition>,
) -> crate::error::Result<()> {
    record_at(tx, platform, transitions, platform.now()).await
}

/// Records transitions of another time.
pub async fn record_at(
    tx: &Work,
    platform: &Platform,
    transitions: impl IntoIterator<Item = Transition>,
    occurred_at: Timestamp,
) -> crate::error::Result<()> {
    let transitions: Vec<Transition> = transitions.into_iter().collect();
    let counts = transitions.iter().map(|transition| TransitionCount {
        kind: transition.kind,
        from_status: transition.from,
        to_status: transition.to,
        count: 1,
    });
    let counts = sum_by_transition(counts);
    if !counts.is_empty() {
        tx.publish(transitions_topic());
    }
    insert(tx, platform, counts, occurred_at).await?;
    statistics::record(tx, platform, transitions.iter().flat_map(Transition::deltas)).await
}

/// Sums the counts of each transition.
fn sum_by_transition(counts: impl IntoIterator<Item = TransitionCount>) -> Vec<TransitionCount> {
    let mut sums: Vec<TransitionCount> = Vec::new();
    for count in counts {
        match sums.iter_mut().find(|sum| sum.transition() == count.transition()) {
            Some(sum) => sum.count += count.count,
            None => sums.push(count),
        }
    }
    sums
}

async fn insert(
    tx: &Work,
    platform: &Platform,
    counts: Vec<TransitionCount>,
    occurred_at: Timestamp,
) -> Result<(), DbErr> {
    if counts.is_empty() {
        return Ok(());
    }
    let rows = counts.into_iter().map(|count| ActiveModel {
        id: Set(platform.new_id()),
        kind: Set(count.kind),
        from_status: Set(count.from_status),
        to_status: Set(count.to_status),
        count: Set(count.count),
        occurred_at: Set(occurred_at),
    });
    Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// The sums of all transitions since the installation.
pub async fn load_totals(db: &impl ConnectionTrait) -> Result<Vec<TransitionCount>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Kind, Column::FromStatus, Column::ToStatus])
        .column_as(sum_of_counts(), "count")
        .group_by(Column::Kind)
        .group_by(Column::FromStatus)
        .group_by(Column::ToStatus)
        .into_model()
        .all(db)
        .await
}

/// How many messages became SENT since a time.
pub async fn count_sent_since(db: &impl ConnectionTrait, since: Timestamp) -> Result<i64, DbErr> {
    let sum: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(sum_of_counts(), "count")
        .filter(Column::ToStatus.eq(Status::Sent))
        .filter(Column::OccurredAt.gt(since))
        .into_tuple()
        .one(db)
        .await?;
    Ok(sum.flatten().unwrap_or(0))
}

/// Whether any message reached a status between two times.
pub async fn has_transition_to(
    db: &impl ConnectionTrait,
    status: Status,
    after: Timestamp,
    before: Timestamp,
) -> Result<bool, DbErr> {
    let query = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ToStatus.eq(status))
        .filter(Column::OccurredAt.gt(after))
        .filter(Column::OccurredAt.lt(before));
    Ok(query.into_tuple::<Uuid>().one(db).await?.is_some())
}

/// Replaces up to `limit` rows that are not newer than `until` by one row per transition. Only deleted rows are summed,
/// so the totals stay right if two instances compact at the same time. Returns how many rows were replaced.
pub async fn compact(
    tx: &Work,
    platform: &Platform,
    until: Timestamp,
    limit: u64,
) -> Result<u64, DbErr> {
    let oldest = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::OccurredAt.lte(until))
        .order_by_asc(Column::OccurredAt)
        .limit(limit);
    let ids: Vec<Uuid> = oldest.into_tuple().all(tx).await?;
    let deleted =
        Entity::delete_many().filter(Column::Id.is_in(ids)).exec_with_returning(tx).await?;
    let replaced = deleted.len() as u64;
    let counts = deleted.into_iter().map(TransitionCount::from);
    insert(tx, platform, sum_by_transition(counts), until).await?;
    Ok(replaced)
}

/// Cast, because PostgreSQL's sum of integers is a decimal.
fn sum_of_counts() -> Expr {
    Expr::expr(Func::cast_as(Column::Count.sum(), Alias::new("bigint")))
}
