//! Endings: what every instance must stop trusting, in the order of time.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::platform::clock::Instant;
use crate::platform::database::Work;

/// How long an ending is kept: much longer than any instance takes to read it.
const KEPT: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "endings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: Kind,
    /// The session or user; none for the signing keys.
    pub subject: Option<Uuid>,
    pub ended_at: Instant,
}

/// What ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// One session.
    Session,
    /// Every session of a user.
    Account,
    /// A user's role.
    Role,
    /// The time of a signing key.
    SigningKeys,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Writes one down.
pub async fn insert(
    tx: &Work,
    id: Uuid,
    kind: Kind,
    subject: Option<Uuid>,
    now: Instant,
) -> Result<(), DbErr> {
    let row =
        ActiveModel { id: Set(id), kind: Set(kind), subject: Set(subject), ended_at: Set(now) };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Those since a moment.
pub async fn since(db: &impl ConnectionTrait, moment: Instant) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::EndedAt.gt(moment)).all(db).await
}

/// Drops those that every instance has read.
pub async fn sweep(tx: &Work, now: Instant) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::EndedAt.lt(now - KEPT)).exec(tx).await?;
    Ok(())
}
