//! Rows of leases: who holds each, until when, and the progress of its work.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition, ExprTrait};

use super::lease_key::LeaseKey;
use crate::platform::clock::Timestamp;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "leases")]
pub struct Model {
    /// The kind of work.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// Which work of this kind.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// When the work is due.
    pub due_at: Timestamp,
    /// Random for each acquisition. None while nobody holds the lease.
    pub holder: Option<Uuid>,
    /// When others may acquire the lease. None while nobody holds it.
    pub expires_at: Option<Timestamp>,
    /// Acquisitions since the last release.
    pub attempts: i32,
    /// The progress that was saved last.
    pub watermark: Option<String>,
}

/// The latest due time and expiry to believe. Later ones were written before the clock was set back.
#[derive(Clone, Copy, Debug)]
pub struct Availability {
    /// The current time.
    pub now: Timestamp,
    /// The latest due time.
    pub max_due_at: Timestamp,
    /// The latest expiry.
    pub max_expires_at: Timestamp,
}

impl Availability {
    /// Whether the work is due and nobody holds the lease.
    pub fn allows(&self, row: &Model) -> bool {
        let is_due = row.due_at <= self.now || row.due_at > self.max_due_at;
        let has_expired = |at| at <= self.now || at > self.max_expires_at;
        is_due && (row.holder.is_none() || row.expires_at.is_some_and(has_expired))
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn has_key(key: &LeaseKey) -> Condition {
    Condition::all().add(Column::Kind.eq(key.kind)).add(Column::Key.eq(key.key.as_ref()))
}

/// Finds the row of a lease. None before its first acquisition.
pub async fn find(db: &impl ConnectionTrait, key: &LeaseKey) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(has_key(key)).one(db).await
}

/// Adds the row of a lease, due now, unless it exists.
pub async fn insert(
    db: &impl ConnectionTrait,
    key: &LeaseKey,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        kind: Set(key.kind.to_owned()),
        key: Set(key.key.clone().into_owned()),
        due_at: Set(now),
        holder: Set(None),
        expires_at: Set(None),
        attempts: Set(0),
        watermark: Set(None),
    };
    let keep_existing = OnConflict::columns([Column::Kind, Column::Key]).do_nothing().to_owned();
    Entity::insert(row).on_conflict(keep_existing).exec_without_returning(db).await?;
    Ok(())
}

/// Acquires a lease for a new holder if its work is due and nobody holds it, and returns its row.
pub async fn acquire(
    db: &impl ConnectionTrait,
    key: &LeaseKey,
    availability: Availability,
    (holder, expires_at): (Uuid, Timestamp),
) -> Result<Option<Model>, DbErr> {
    let Availability { now, max_due_at, max_expires_at } = availability;
    let is_due = Condition::any().add(Column::DueAt.lte(now)).add(Column::DueAt.gt(max_due_at));
    let is_free = Condition::any()
        .add(Column::Holder.is_null())
        .add(Column::ExpiresAt.lte(now))
        .add(Column::ExpiresAt.gt(max_expires_at));
    let acquired = Entity::update_many()
        .col_expr(Column::Holder, Expr::value(holder))
        .col_expr(Column::ExpiresAt, Expr::value(expires_at))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1_i32))
        .filter(has_key(key).add(is_due).add(is_free))
        .exec_with_returning(db)
        .await?;
    Ok(acquired.into_iter().next())
}

/// Sets when a lease expires, if `holder` holds it, and the progress, if given. Returns whether it holds it. In a
/// transaction, nobody else can acquire the lease until the transaction ends.
pub async fn renew(
    db: &impl ConnectionTrait,
    (key, holder): (&LeaseKey, Uuid),
    expires_at: Timestamp,
    watermark: Option<&str>,
) -> Result<bool, DbErr> {
    let mut update = Entity::update_many().col_expr(Column::ExpiresAt, Expr::value(expires_at));
    if let Some(watermark) = watermark {
        update = update.col_expr(Column::Watermark, Expr::value(watermark));
    }
    let updated = update.filter(has_key(key).add(Column::Holder.eq(holder))).exec(db).await?;
    Ok(updated.rows_affected > 0)
}

/// Releases a lease and sets when its work is due again, if `holder` holds it. Returns whether it held it.
pub async fn release(
    db: &impl ConnectionTrait,
    (key, holder): (&LeaseKey, Uuid),
    due_at: Timestamp,
) -> Result<bool, DbErr> {
    let released = Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(due_at))
        .col_expr(Column::Holder, Expr::value(None::<Uuid>))
        .col_expr(Column::ExpiresAt, Expr::value(None::<Timestamp>))
        .col_expr(Column::Attempts, Expr::value(0))
        .filter(has_key(key).add(Column::Holder.eq(holder)))
        .exec(db)
        .await?;
    Ok(released.rows_affected > 0)
}

/// Deletes the row of a lease whose work is complete, if `holder` holds it. Returns whether it held it.
pub async fn delete(
    db: &impl ConnectionTrait,
    (key, holder): (&LeaseKey, Uuid),
) -> Result<bool, DbErr> {
    let deletion = Entity::delete_many().filter(has_key(key).add(Column::Holder.eq(holder)));
    Ok(deletion.exec(db).await?.rows_affected > 0)
}
