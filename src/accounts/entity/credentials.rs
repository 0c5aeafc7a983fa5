//! A person's password.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ExprTrait, IntoActiveModel, QuerySelect};

use crate::ids::UserId;
use crate::platform::clock::Instant;
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub password_hash: PasswordHash,
    pub updated_at: Instant,
    /// One more with each password: another hash of the same one has the same.
    pub version: i32,
}

/// An argon2id hash in the PHC string format. Does not print.
#[derive(Clone, PartialEq, DeriveValueType)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A person's. Nobody has the id `None`, and it costs the same statement.
pub async fn of(db: &impl ConnectionTrait, user: Option<UserId>) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user.unwrap_or_else(|| Uuid::nil().into())).one(db).await
}

/// A person's, which is locked until the transaction ends.
pub async fn lock(tx: &Work, user: UserId) -> Result<Option<Model>, DbErr> {
    // SQLite has one writer, and no such clause.
    Entity::find_by_id(user).lock_exclusive().one(tx).await
}

/// Sets another password.
pub async fn set(tx: &Work, user: UserId, fresh: PasswordHash, now: Instant) -> Result<(), DbErr> {
    let change =
        ActiveModel { password_hash: Set(fresh), updated_at: Set(now), ..Default::default() };
    Entity::update_many()
        .set(change)
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::UserId.eq(user))
        .exec(tx)
        .await?;
    Ok(())
}

/// Keeps the same password by another hash.
pub async fn rehash(tx: &Work, user: UserId, fresh: PasswordHash) -> Result<(), DbErr> {
    let change = ActiveModel { password_hash: Set(fresh), ..Default::default() };
    Entity::update_many().set(change).filter(Column::UserId.eq(user)).exec(tx).await?;
    Ok(())
}

/// Drops a person's.
pub async fn forget(tx: &Work, user: UserId) -> Result<(), DbErr> {
    Entity::delete_by_id(user).exec(tx).await?;
    Ok(())
}

/// Writes a new person's.
pub async fn insert(tx: &Work, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(tx).await
}
