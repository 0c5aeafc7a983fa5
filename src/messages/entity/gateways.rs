//! How gateways do, as all instances have seen it: when the next message may go, and whether it rests.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ExprTrait, QuerySelect};

use crate::platform::clock::{Instant, MAX_SKEW};
use crate::platform::database::Work;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_gateways")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// When the rate allows the next message.
    pub free_at: Instant,
    /// How often in a row something failed that is not a message's own fault.
    pub failures: i32,
    /// When the last of them was heard of. What was handed over before says nothing of how it does now.
    pub troubled_at: Option<Instant>,
    /// Until when nothing is sent. Afterwards one message is tried.
    pub rests_until: Option<Instant>,
    /// Until when somebody tries.
    pub trying_until: Option<Instant>,
    /// Since when nothing can be sent because the configuration or the account is wrong.
    pub stopped_since: Option<Instant>,
    /// What the matter is.
    pub trouble: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// All of them.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().all(db).await
}

/// A gateway, which is added when it is new.
pub async fn named(tx: &Work, name: &str, now: Instant) -> Result<Model, DbErr> {
    if let Some(gateway) = Entity::find_by_id(name).one(tx).await? {
        return Ok(gateway);
    }
    let new = Model {
        name: name.to_owned(),
        free_at: now,
        failures: 0,
        troubled_at: None,
        rests_until: None,
        trying_until: None,
        stopped_since: None,
        trouble: None,
    };
    let row: ActiveModel = new.clone().into();
    let is_there = OnConflict::column(Column::Name).do_nothing().to_owned();
    Entity::insert(row.reset_all()).on_conflict(is_there).exec_without_returning(tx).await?;
    Ok(new)
}

/// A gateway, which nobody else changes until the transaction is over. SQLite has one writer anyway.
pub async fn locked(tx: &Work, name: &str, now: Instant) -> Result<Model, DbErr> {
    named(tx, name, now).await?;
    let gateway = Entity::find_by_id(name).lock_exclusive().one(tx).await?;
    gateway.ok_or_else(|| DbErr::RecordNotFound(format!("the gateway {name}")))
}

/// Moves the moment of the next message, unless another instance did so meanwhile.
pub async fn book(tx: &Work, seen: &Model, free_at: Instant) -> Result<bool, DbErr> {
    let booked = Entity::update_many()
        .col_expr(Column::FreeAt, Expr::value(free_at))
        .filter(Column::Name.eq(&seen.name))
        .filter(Column::FreeAt.eq(seen.free_at))
        .exec(tx)
        .await?;
    Ok(booked.rows_affected == 1)
}

/// Has one try whether it goes on, until a moment, unless another does, which takes no longer than `longest`.
pub async fn try_until(
    tx: &Work,
    name: &str,
    (now, longest): (Instant, Duration),
    until: Instant,
) -> Result<bool, DbErr> {
    let nobody_tries = Column::TryingUntil
        .is_null()
        .or(Column::TryingUntil.lte(now))
        .or(Column::TryingUntil.gt(now + longest + MAX_SKEW));
    let tried = Entity::update_many()
        .col_expr(Column::TryingUntil, Expr::value(until))
        .filter(Column::Name.eq(name))
        .filter(nobody_tries)
        .exec(tx)
        .await?;
    Ok(tried.rows_affected == 1)
}

/// Ends the rests of some, so that they are tried at once.
pub async fn wake(tx: &Work, names: &[&str], now: Instant) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::RestsUntil, Expr::value(now))
        .filter(Column::Name.is_in(names.iter().copied()))
        .filter(Column::RestsUntil.gt(now))
        .exec(tx)
        .await?;
    Ok(())
}

/// Writes how it does.
pub async fn write(tx: &Work, gateway: Model) -> Result<(), DbErr> {
    Entity::update_many()
        .set(ActiveModel {
            failures: Set(gateway.failures),
            troubled_at: Set(gateway.troubled_at),
            rests_until: Set(gateway.rests_until),
            trying_until: Set(gateway.trying_until),
            stopped_since: Set(gateway.stopped_since),
            trouble: Set(gateway.trouble),
            ..Default::default()
        })
        .filter(Column::Name.eq(gateway.name))
        .exec(tx)
        .await?;
    Ok(())
}
