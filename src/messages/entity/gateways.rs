//! The message_gateways table: state of each SMS gateway that all instances share, for its send rate and its circuit
//! breaker.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ExprTrait, QuerySelect};

use crate::platform::clock::{MAX_SKEW, Timestamp};
use crate::platform::database::Work;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_gateways")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// When the rate allows the next message.
    pub next_send_at: Timestamp,
    /// Failures in a row that may be the gateway's fault.
    pub consecutive_failures: i32,
    /// Successes of attempts that began before this do not close the circuit.
    pub last_failure_at: Option<Timestamp>,
    /// Nothing is sent until this time; then one message probes the gateway. None: the circuit is closed.
    pub open_until: Option<Timestamp>,
    /// A probe is running, which ends at this time at the latest.
    pub probe_until: Option<Timestamp>,
    /// Since when its configuration or account is wrong.
    pub misconfigured_since: Option<Timestamp>,
    pub last_error: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The rows of all gateways.
pub async fn find_all(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().all(db).await
}

/// The row of a gateway; it is inserted if there is none.
pub async fn find_or_insert(tx: &Work, name: &str, now: Timestamp) -> Result<Model, DbErr> {
    if let Some(gateway) = Entity::find_by_id(name).one(tx).await? {
        return Ok(gateway);
    }
    let new = Model {
        name: name.to_owned(),
        next_send_at: now,
        consecutive_failures: 0,
        last_failure_at: None,
        open_until: None,
        probe_until: None,
        misconfigured_since: None,
        last_error: None,
    };
    let row: ActiveModel = new.clone().into();
    let already_inserted = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(row.reset_all())
        .on_conflict(already_inserted)
        .exec_without_returning(tx)
        .await?;
    Ok(new)
}

/// The row of a gateway, locked until the transaction ends. SQLite has a single writer anyway.
pub async fn lock(tx: &Work, name: &str, now: Timestamp) -> Result<Model, DbErr> {
    find_or_insert(tx, name, now).await?;
    let gateway = Entity::find_by_id(name).lock_exclusive().one(tx).await?;
    gateway.ok_or_else(|| DbErr::RecordNotFound(format!("the gateway {name}")))
}

/// Sets when the next message may be sent, unless another instance has changed it meanwhile.
pub async fn set_next_send_at(
    tx: &Work,
    expected: &Model,
    next_send_at: Timestamp,
) -> Result<bool, DbErr> {
    let updated = Entity::update_many()
        .col_expr(Column::NextSendAt, Expr::value(next_send_at))
        .filter(Column::Name.eq(&expected.name))
        .filter(Column::NextSendAt.eq(expected.next_send_at))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Starts a probe that takes no longer than `max_duration`, unless one is running.
pub async fn start_probe(
    tx: &Work,
    name: &str,
    now: Timestamp,
    max_duration: Duration,
) -> Result<bool, DbErr> {
    set_probe_until(tx, name, now, max_duration, now + max_duration).await
}

/// Cancels a probe that was started just now.
pub async fn cancel_probe(
    tx: &Work,
    name: &str,
    now: Timestamp,
    max_duration: Duration,
) -> Result<bool, DbErr> {
    set_probe_until(tx, name, now + max_duration, max_duration, now).await
}

/// Sets the end of the probe, unless one is still running at `at`.
async fn set_probe_until(
    tx: &Work,
    name: &str,
    at: Timestamp,
    max_duration: Duration,
    until: Timestamp,
) -> Result<bool, DbErr> {
    // A probe that ends later than any can was started before the clock was set back.
    let no_probe_runs = Column::ProbeUntil
        .is_null()
        .or(Column::ProbeUntil.lte(at))
        .or(Column::ProbeUntil.gt(at + max_duration + MAX_SKEW));
    let updated = Entity::update_many()
        .col_expr(Column::ProbeUntil, Expr::value(until))
        .filter(Column::Name.eq(name))
        .filter(no_probe_runs)
        .exec(tx)
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Ends the cool-down of these gateways, so that they are probed at once.
pub async fn end_cooldowns(tx: &Work, names: &[&str], now: Timestamp) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::OpenUntil, Expr::value(now))
        .filter(Column::Name.is_in(names.iter().copied()))
        .filter(Column::OpenUntil.gt(now))
        .exec(tx)
        .await?;
    Ok(())
}

/// Saves the state of a circuit breaker.
pub async fn update_circuit(tx: &Work, gateway: Model) -> Result<(), DbErr> {
    Entity::update_many()
        .set(ActiveModel {
            consecutive_failures: Set(gateway.consecutive_failures),
            last_failure_at: Set(gateway.last_failure_at),
            open_until: Set(gateway.open_until),
            probe_until: Set(gateway.probe_until),
            misconfigured_since: Set(gateway.misconfigured_since),
            last_error: Set(gateway.last_error),
            ..Default::default()
        })
        .filter(Column::Name.eq(gateway.name))
        .exec(tx)
        .await?;
    Ok(())
}
