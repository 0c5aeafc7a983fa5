//! The messages table: the queue (an outbox), with one row per message. Each statement that changes the status is
//! guarded by the previous status (compare and set).

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::CaseStatement;
use sea_orm::{ExprTrait, QueryOrder, QuerySelect};
use uuid::Builder;

use crate::ids::MessageId;
use crate::messages::segments::Encoding;
use crate::messages::status::{Kind, Status};
use crate::platform::clock::Timestamp;
use crate::platform::database::{Work, pad_to_pow2};
use crate::platform::phone::PhoneNumber;

mod bodies;
mod claim;
mod erase;
mod insert_many;
mod reschedule;
mod retry;
mod search;

pub use bodies::{clear_bodies, clear_sealed_body, reseal_bodies};
pub use claim::{
    Claimant, DueRange, claim, claim_unknown, expire, expire_leases, find_first_due_at,
    has_due_queued, has_due_unknown, has_expired,
};
pub use erase::{cancel_many, erase, find_code_message_ids};
pub use insert_many::insert_many;
pub use reschedule::{LatestDueTimes, has_due_later_than, reschedule};
pub use retry::{find_retryable, retry_many, retry_one};
pub use search::{MessageFilter, find_page, find_statuses};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
#[expect(missing_docs, reason = "the columns are explained by the fields of Message in the schema")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub kind: Kind,
    pub phone: PhoneNumber,
    /// The text, with the code masked. Empty after its retention.
    pub body: String,
    /// The encrypted text with the code, until it is sent.
    pub sealed_body: Option<Vec<u8>>,
    pub encoding: Encoding,
    pub segments: i16,
    pub campaign: Option<String>,
    pub status: Status,
    pub attempts: i32,
    /// How often an operator queued it again.
    pub manual_retries: i16,
    pub gateway: Option<String>,
    pub gateway_id: Option<String>,
    /// The only gateway that may send it, because it may have the message already and would detect the duplicate.
    pub pinned_gateway: Option<String>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    /// When it was created, or queued again by an operator.
    pub queued_at: Timestamp,
    /// QUEUED: the next attempt. SENDING: the end of the lease. UNKNOWN: the next reconciliation.
    pub due_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    /// When the latest attempt began. Identifies the attempt in guarded statements.
    pub attempted_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    /// When it reached its latest status other than QUEUED and SENDING.
    pub state_at: Option<Timestamp>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Rows per statement, because a million may be affected in all.
pub const BATCH_SIZE: u64 = 2_000;

/// Inserts a message.
pub async fn insert(tx: &Work, message: Model) -> Result<(), DbErr> {
    let row: ActiveModel = message.into();
    Entity::insert(row.reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// The message with this id.
pub async fn find(db: &impl ConnectionTrait, id: MessageId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// The message with this id of a gateway.
pub async fn find_by_gateway_id(
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

/// When the longest waiting message of a lane was queued.
pub async fn find_oldest_queued_at(
    db: &impl ConnectionTrait,
    kind: Kind,
) -> Result<Option<Timestamp>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::QueuedAt)
        .filter(has_status(Status::Queued))
        .filter(Column::Kind.eq(kind))
        .order_by_asc(Column::QueuedAt)
        .into_tuple()
        .one(db)
        .await
}

/// Marks accepted messages as SENT, each with its gateway's id. Returns those that were still SENDING.
pub async fn mark_sent(
    tx: &Work,
    accepted: &[(&Model, Option<String>)],
    now: Timestamp,
) -> Result<Vec<MessageId>, DbErr> {
    if accepted.is_empty() {
        return Ok(Vec::new());
    }
    let accepted = pad_to_pow2(accepted);
    let by_id = |value: &dyn Fn(&Model, &Option<String>) -> Expr| -> Expr {
        let add_case = |case: CaseStatement, (message, gateway_id): &(&Model, Option<String>)| {
            case.case(Column::Id.eq(message.id), value(message, gateway_id))
        };
        accepted.iter().fold(CaseStatement::new(), add_case).into()
    };
    let attempted_at = by_id(&|message, _| Expr::value(message.attempted_at));
    let sent = Entity::update_many()
        .col_expr(Column::Status, status_value(Status::Sent))
        .col_expr(Column::GatewayId, by_id(&|_, gateway_id| Expr::value(gateway_id.clone())))
        .col_expr(Column::SentAt, Expr::value(now))
        .col_expr(Column::StateAt, Expr::value(now))
        .col_expr(Column::DueAt, Expr::value(None::<Timestamp>))
        .col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::Error, Expr::value(None::<String>))
        .filter(has_status(Status::Sending))
        .filter(Column::Id.is_in(accepted.iter().map(|(message, _)| message.id)))
        .filter(ExprTrait::eq(Expr::col(Column::AttemptedAt), attempted_at))
        .exec_with_returning(tx)
        .await?;
    Ok(sent.into_iter().map(|message| message.id).collect())
}

/// The columns that change together with the status. `due_at` and `error` are always set, the others unless None.
#[derive(Clone, Debug, Default)]
pub struct StatusChanges {
    pub due_at: Option<Timestamp>,
    pub error: Option<String>,
    pub attempts: Option<i32>,
    pub pinned_gateway: Option<String>,
    pub gateway_id: Option<String>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
}

/// Changes the status of a message. False if its status, attempt or manual retry has changed since it was read.
pub async fn transition(
    tx: &Work,
    message: &Model,
    to: Status,
    changes: StatusChanges,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let mut update = Entity::update_many()
        .col_expr(Column::Status, status_value(to))
        .col_expr(Column::DueAt, Expr::value(changes.due_at))
        .col_expr(Column::Error, Expr::value(changes.error))
        .filter(Column::Id.eq(message.id))
        .filter(Column::Status.eq(message.status))
        .filter(Column::ManualRetries.eq(message.manual_retries))
        .filter(match message.attempted_at {
            Some(attempted_at) => Column::AttemptedAt.eq(attempted_at),
            None => Column::AttemptedAt.is_null(),
        });
    if let Some(attempts) = changes.attempts {
        update = update.col_expr(Column::Attempts, Expr::value(attempts));
    }
    if let Some(gateway) = changes.pinned_gateway {
        update = update.col_expr(Column::PinnedGateway, Expr::value(gateway));
    }
    if let Some(gateway_id) = changes.gateway_id {
        update = update.col_expr(Column::GatewayId, Expr::value(gateway_id));
    }
    if let Some(sent_at) = changes.sent_at {
        update = update.col_expr(Column::SentAt, Expr::value(sent_at));
    }
    if let Some(delivered_at) = changes.delivered_at {
        update = update.col_expr(Column::DeliveredAt, Expr::value(delivered_at));
    }
    if to.is_final() {
        update = update.col_expr(Column::SealedBody, Expr::value(None::<Vec<u8>>));
    }
    if to != message.status && to.is_counted() {
        update = update.col_expr(Column::StateAt, Expr::value(now));
    }
    Ok(update.exec(tx).await?.rows_affected == 1)
}

/// Stores when messages reached a status.
pub async fn set_state_at(tx: &Work, ids: &[MessageId], now: Timestamp) -> Result<(), DbErr> {
    if !ids.is_empty() {
        Entity::update_many()
            .col_expr(Column::StateAt, Expr::value(now))
            .filter(Column::Id.is_in(pad_to_pow2(ids)))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// With a literal, because the planner does not match a bound value with the condition of a partial index.
fn has_status(status: Status) -> Expr {
    ExprTrait::eq(Expr::col(Column::Status), Expr::cust(format!("'{}'", status.to_value())))
}

fn status_value(status: Status) -> Expr {
    Expr::value(status.to_value())
}

/// The lowest id that a message of this time can have. Ids have the time in milliseconds.
fn min_id_at(time: Timestamp) -> MessageId {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid().into()
}
