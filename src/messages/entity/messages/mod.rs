//! Messages, and the statements that move them: each is guarded by the status that it moves them from.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{
    Alias, CaseStatement, CommonTableExpression, LockBehavior, LockType, Query, SelectStatement,
};
use sea_orm::{ExprTrait, QueryOrder, QuerySelect, QueryTrait, UpdateMany};

use super::moves::Way;
use crate::ids::MessageId;
use crate::messages::segments::Characters;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Instant;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::PhoneNumber;

mod forget;
mod later;
mod search;

pub use forget::{cancel, codes_to, forget};
pub use later::{Latest, bring_forward, is_any_later};
pub use search::{Wanted, clear_bodies, page, retry_one, retry_some, retryable, statuses};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
#[expect(missing_docs, reason = "the columns are explained by the fields of Message in the schema")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub kind: Kind,
    pub phone: PhoneNumber,
    /// The text; a code's is masked. Empty once its time is over.
    pub body: String,
    /// The text with its code, until it is handed over.
    pub sealed_body: Option<Vec<u8>>,
    pub characters: Characters,
    pub segments: i16,
    pub campaign: Option<String>,
    pub status: Status,
    pub attempts: i32,
    /// How often an operator had it sent again.
    pub retries: i16,
    pub gateway: Option<String>,
    pub gateway_id: Option<String>,
    /// The one gateway that may be given it: it may have it already, and would know.
    pub bound_to: Option<String>,
    pub error: Option<String>,
    pub created_at: Instant,
    /// When it was put into the queue: first by a deed, then each time by an operator.
    pub queued_at: Instant,
    /// QUEUED: when it is tried. SENDING: when whoever sends it must have crashed. UNKNOWN: when something
    /// is done about it.
    pub due_at: Option<Instant>,
    pub expires_at: Instant,
    pub handed_over_at: Option<Instant>,
    pub sent_at: Option<Instant>,
    pub delivered_at: Option<Instant>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The most rows that one statement moves, where all at once could be a million.
pub const CHUNK: u64 = 2_000;

/// Adds a message.
pub async fn insert(tx: &Work, message: Model) -> Result<(), DbErr> {
    let row: ActiveModel = message.into();
    Entity::insert(row.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// A message.
pub async fn by_id(db: &impl ConnectionTrait, id: MessageId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// The message that a gateway knows by this id.
pub async fn by_gateway_id(
    db: &impl ConnectionTrait,
    gateway: &str,
    gateway_id: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::GatewayId.eq(gateway_id))
        .filter(Column::Gateway.eq(gateway))
        .order_by_desc(Column::Id)
        .one(db)
        .await
}

/// What is due in a lane.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The lane.
    pub kind: Kind,
    /// What is due earlier is left out.
    pub since: Instant,
    /// Now.
    pub until: Instant,
}

/// Marks messages of one lane as being handed over to a gateway, those first that are due longest, but none
/// that another gateway may have. They are nobody else's until the lease is over.
pub async fn claim(
    tx: &Work,
    Due { kind, since, until: now }: Due,
    most: u64,
    gateway: &str,
    others: &[&str],
    lease: Duration,
) -> Result<Vec<Model>, DbErr> {
    let is_free = Column::BoundTo.is_null().or(Column::BoundTo.is_not_in(others.iter().copied()));
    let due = due(Status::Queued, now)
        .filter(Column::Kind.eq(kind))
        .filter(Column::DueAt.gte(since))
        .filter(Column::ExpiresAt.gt(now))
        .filter(is_free)
        .order_by_asc(Column::DueAt);
    let mut claimed = marked_by(due, most, Status::Queued)
        .col_expr(Column::Status, value(Status::Sending))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::Gateway, Expr::value(gateway))
        .col_expr(Column::GatewayId, Expr::value(None::<String>))
        .col_expr(Column::DueAt, Expr::value(now + lease))
        .col_expr(Column::HandedOverAt, Expr::value(now))
        .exec_with_returning(tx)
        .await?;
    claimed.sort_by_key(|message| message.id);
    Ok(claimed)
}

/// When the first one of a lane was due.
pub async fn first_due(tx: &Work, kind: Kind, now: Instant) -> Result<Option<Instant>, DbErr> {
    let first = due(Status::Queued, now).filter(Column::Kind.eq(kind)).order_by_asc(Column::DueAt);
    first.select_only().column(Column::DueAt).into_tuple().one(tx).await
}

/// Gives up those that wait and whose time is over. Answers their kinds.
pub async fn expire(tx: &Work, now: Instant) -> Result<Vec<Kind>, DbErr> {
    let over = Entity::find().filter(is(Status::Queued)).filter(Column::ExpiresAt.lte(now));
    let expired = marked_by(over.order_by_asc(Column::ExpiresAt), CHUNK, Status::Queued)
        .col_expr(Column::Status, value(Status::Expired))
        .col_expr(Column::DueAt, Expr::value(None::<Instant>))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .exec_with_returning(tx)
        .await?;
    Ok(expired.into_iter().map(|message| message.kind).collect())
}

/// Those whose sender crashed: nobody knows whether the gateway has them. Gateways that can be asked are
/// asked now. Answers their kinds.
pub async fn lapse(tx: &Work, now: Instant, askable: &[&str]) -> Result<Vec<Kind>, DbErr> {
    let due_at = CaseStatement::new()
        .case(Column::Gateway.is_in(askable.iter().copied()), Expr::value(now))
        .finally(Expr::col(Column::ExpiresAt));
    let lapsed = marked_by(due(Status::Sending, now), CHUNK, Status::Sending)
        .col_expr(Column::Status, value(Status::Unknown))
        .col_expr(Column::DueAt, due_at.into())
        .col_expr(Column::BoundTo, Expr::col(Column::Gateway))
        .col_expr(Column::Error, Expr::value("the sender stopped while handing it over"))
        .exec_with_returning(tx)
        .await?;
    Ok(lapsed.into_iter().map(|message| message.kind).collect())
}

/// Takes messages of unknown fate to ask their gateways, which no other instance does until the lease is
/// over.
pub async fn take_unknown(
    tx: &Work,
    most: u64,
    now: Instant,
    lease: Duration,
) -> Result<Vec<Model>, DbErr> {
    marked_by(due(Status::Unknown, now).order_by_asc(Column::DueAt), most, Status::Unknown)
        .col_expr(Column::DueAt, Expr::value(now + lease))
        .exec_with_returning(tx)
        .await
}

/// Whether the gateway of some message of unknown fate is to be asked.
pub async fn has_unknown_due(db: &impl ConnectionTrait, now: Instant) -> Result<bool, DbErr> {
    has_any(db, due(Status::Unknown, now)).await
}

/// Whether something waits whose moment has come.
pub async fn has_queued_due(db: &impl ConnectionTrait, now: Instant) -> Result<bool, DbErr> {
    has_any(db, due(Status::Queued, now)).await
}

/// Whether something waits whose time is over, or was left behind by a sender that crashed.
pub async fn is_something_over(db: &impl ConnectionTrait, now: Instant) -> Result<bool, DbErr> {
    let over = Entity::find().filter(is(Status::Queued)).filter(Column::ExpiresAt.lte(now));
    let over = over.order_by_asc(Column::ExpiresAt).select_only().column(Column::Id);
    let expired = over.into_tuple::<MessageId>().one(db).await?;
    Ok(expired.is_some() || has_any(db, due(Status::Sending, now)).await?)
}

/// In the order of the index, which PostgreSQL does not think of otherwise.
async fn has_any(db: &impl ConnectionTrait, rows: Select<Entity>) -> Result<bool, DbErr> {
    let ordered = rows.order_by_asc(Column::Kind).order_by_asc(Column::DueAt);
    let one = ordered.select_only().column(Column::Id).into_tuple::<MessageId>().one(db).await?;
    Ok(one.is_some())
}

/// The texts that are sealed.
pub async fn sealed(tx: &Work) -> Result<Vec<(MessageId, Vec<u8>)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::SealedBody])
        .filter(Column::DueAt.is_not_null())
        .filter(Column::Kind.eq(Kind::Code))
        .filter(Column::SealedBody.is_not_null())
        .into_tuple()
        .all(tx)
        .await
}

/// Replaces a sealed text, if it is there still.
pub async fn seal_anew(
    tx: &Work,
    id: MessageId,
    was: Vec<u8>,
    sealed: Vec<u8>,
) -> Result<bool, DbErr> {
    let moved = Entity::update_many()
        .col_expr(Column::SealedBody, Expr::value(sealed))
        .filter(Column::Id.eq(id))
        .filter(Column::SealedBody.eq(was))
        .exec(tx)
        .await?;
    Ok(moved.rows_affected == 1)
}

/// Erases a code that is not going to be sent again.
pub async fn erase_code(tx: &Work, id: MessageId) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Marks as sent what the gateway took, with the ids that it gave. Answers which were still being sent.
pub async fn mark_sent(
    tx: &Work,
    accepted: &[(&Model, Option<String>)],
    now: Instant,
) -> Result<Vec<MessageId>, DbErr> {
    if accepted.is_empty() {
        return Ok(Vec::new());
    }
    let accepted = pad_to_pow2(accepted);
    let by_id = |value: &dyn Fn(&Model, &Option<String>) -> Expr| -> Expr {
        let each = |case: CaseStatement, (message, gateway_id): &(&Model, Option<String>)| {
            case.case(Column::Id.eq(message.id), value(message, gateway_id))
        };
        accepted.iter().fold(CaseStatement::new(), each).into()
    };
    let handed_over_at = by_id(&|message, _| Expr::value(message.handed_over_at));
    let sent = Entity::update_many()
        .col_expr(Column::Status, value(Status::Sent))
        .col_expr(Column::GatewayId, by_id(&|_, gateway_id| Expr::value(gateway_id.clone())))
        .col_expr(Column::SentAt, Expr::value(now))
        .col_expr(Column::DueAt, Expr::value(None::<Instant>))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::Error, Expr::value(None::<String>))
        .filter(is(Status::Sending))
        .filter(Column::Id.is_in(accepted.iter().map(|(message, _)| message.id)))
        .filter(ExprTrait::eq(Expr::col(Column::HandedOverAt), handed_over_at))
        .exec_with_returning(tx)
        .await?;
    Ok(sent.into_iter().map(|message| message.id).collect())
}

/// What a move sets beside the status.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// When it is looked at again.
    pub due_at: Option<Instant>,
    /// Why it is there.
    pub error: Option<String>,
    /// The attempts that count.
    pub attempts: Option<i32>,
    /// The one gateway that may be given it from now on.
    pub bound_to: Option<String>,
    /// The gateway's id.
    pub gateway_id: Option<String>,
    /// When the gateway took it.
    pub sent_at: Option<Instant>,
    /// When it arrived.
    pub delivered_at: Option<Instant>,
}

/// Moves a message from the status and hand-over that it was seen in. Answers the move, unless another was
/// quicker.
pub async fn shift(
    tx: &Work,
    seen: &Model,
    to: Status,
    change: Change,
) -> Result<Option<Way>, DbErr> {
    let mut update = Entity::update_many()
        .col_expr(Column::Status, value(to))
        .col_expr(Column::DueAt, Expr::value(change.due_at))
        .col_expr(Column::Error, Expr::value(change.error))
        .filter(Column::Id.eq(seen.id))
        .filter(Column::Status.eq(seen.status))
        .filter(Column::Retries.eq(seen.retries))
        .filter(match seen.handed_over_at {
            Some(at) => Column::HandedOverAt.eq(at),
            None => Column::HandedOverAt.is_null(),
        });
    if let Some(attempts) = change.attempts {
        update = update.col_expr(Column::Attempts, Expr::value(attempts));
    }
    if let Some(gateway) = change.bound_to {
        update = update.col_expr(Column::BoundTo, Expr::value(gateway));
    }
    if let Some(gateway_id) = change.gateway_id {
        update = update.col_expr(Column::GatewayId, Expr::value(gateway_id));
    }
    if let Some(moment) = change.sent_at {
        update = update.col_expr(Column::SentAt, Expr::value(moment));
    }
    if let Some(moment) = change.delivered_at {
        update = update.col_expr(Column::DeliveredAt, Expr::value(moment));
    }
    if to.is_over() {
        update = update.col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>));
    }
    let moved = update.exec(tx).await?.rows_affected == 1;
    Ok(moved.then_some((seen.kind, Some(seen.status), to)))
}

/// Since when the one waits that waits longest in a lane.
pub async fn oldest_queued(
    db: &impl ConnectionTrait,
    kind: Kind,
) -> Result<Option<Instant>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::QueuedAt)
        .filter(is(Status::Queued))
        .filter(Column::Kind.eq(kind))
        .order_by_asc(Column::QueuedAt)
        .into_tuple()
        .one(db)
        .await
}

/// Those of a status whose moment has come.
fn due(status: Status, now: Instant) -> Select<Entity> {
    Entity::find().filter(is(status)).filter(Column::DueAt.lte(now))
}

/// An update of so many of these rows, which no other instance updates at the same time.
fn marked_by(rows: Select<Entity>, most: u64, from: Status) -> UpdateMany<Entity> {
    let mut ids: SelectStatement = rows.select_only().column(Column::Id).limit(most).into_query();
    // Rows that another instance is marking are passed over. On SQLite there is one writer, and no clause.
    ids.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    // As a common table: PostgreSQL may run a subquery more than once, each time with other rows.
    let due = CommonTableExpression::new().query(ids).table_name(Alias::new("due")).to_owned();
    let these = Query::select().column(Column::Id).from(Alias::new("due")).to_owned();
    let mut update = Entity::update_many().filter(Column::Id.in_subquery(these)).filter(is(from));
    QueryTrait::query(&mut update).with_cte(due);
    update
}

/// As the partial indexes have it: a bound value would hide from them.
fn is(status: Status) -> Expr {
    ExprTrait::eq(Expr::col(Column::Status), Expr::cust(format!("'{}'", status.to_value())))
}

fn value(status: Status) -> Expr {
    Expr::value(status.to_value())
}
