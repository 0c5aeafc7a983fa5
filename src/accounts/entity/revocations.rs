//! Revocations of sessions, roles and signing keys, which every instance polls.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::jobs::purge;

/// How long rows are kept: much longer than any instance takes to read them.
const RETENTION: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "revocations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: RevocationKind,
    /// The session or user. None for the signing keys.
    pub subject_id: Option<Uuid>,
    pub revoked_at: Timestamp,
}

/// The kind of subject that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RevocationKind {
    /// One session.
    Session,
    /// All sessions of a user.
    Account,
    /// A user's role: it has changed.
    Role,
    /// The set of signing keys: it has changed.
    SigningKeys,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub async fn insert(
    tx: &Work,
    id: Uuid,
    kind: RevocationKind,
    subject_id: Option<Uuid>,
    now: Timestamp,
) -> Result<(), DbErr> {
    let revocation = ActiveModel {
        id: Set(id),
        kind: Set(kind),
        subject_id: Set(subject_id),
        revoked_at: Set(now),
    };
    Entity::insert(revocation).exec_without_returning(tx).await?;
    Ok(())
}

/// Finds the revocations after a time.
pub async fn find_revoked_after(
    db: &impl ConnectionTrait,
    after: Timestamp,
) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::RevokedAt.gt(after)).all(db).await
}

/// Deletes the revocations that every instance has read.
pub async fn purge_expired(platform: &Platform, now: Timestamp) -> Result<u64> {
    purge::<Entity>(platform, Column::Id, Column::RevokedAt.lt(now - RETENTION)).await
}
