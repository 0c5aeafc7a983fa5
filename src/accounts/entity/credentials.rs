//! Credentials: the password hashes of users.

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, ExprTrait, IntoActiveModel, QuerySelect};

use crate::ids::UserId;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;

#[derive(Clone, Debug, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub password_hash: PasswordHash,
    pub updated_at: Timestamp,
    /// Incremented with each new password, but not when the same password is hashed again.
    pub version: i32,
}

/// An argon2id hash in the PHC string format. Its `Debug` output does not reveal it.
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

/// Finds a user's credential. Without a user the query is the same and finds nothing, so that timing does not reveal
/// whether an account exists.
pub async fn find_by_user(
    db: &impl ConnectionTrait,
    user: Option<UserId>,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(user.unwrap_or_else(|| Uuid::nil().into())).one(db).await
}

/// Locks a user's credential until the transaction ends.
pub async fn lock(tx: &Work, user: UserId) -> Result<Option<Model>, DbErr> {
    // No effect on SQLite, which has one writer.
    Entity::find_by_id(user).lock_exclusive().one(tx).await
}

/// Sets a new password.
pub async fn set_password(
    tx: &Work,
    user: UserId,
    hash: PasswordHash,
    now: Timestamp,
) -> Result<(), DbErr> {
    let change =
        ActiveModel { password_hash: Set(hash), updated_at: Set(now), ..Default::default() };
    Entity::update_many()
        .set(change)
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::UserId.eq(user))
        .exec(tx)
        .await?;
    Ok(())
}

/// Replaces the hash of the same password.
pub async fn replace_hash(tx: &Work, user: UserId, hash: PasswordHash) -> Result<(), DbErr> {
    let change = ActiveModel { password_hash: Set(hash), ..Default::default() };
    Entity::update_many().set(change).filter(Column::UserId.eq(user)).exec(tx).await?;
    Ok(())
}

/// Deletes a user's credential.
pub async fn erase(tx: &Work, user: UserId) -> Result<(), DbErr> {
    Entity::delete_by_id(user).exec(tx).await?;
    Ok(())
}

pub async fn insert(tx: &Work, credential: Model) -> Result<Model, DbErr> {
    credential.into_active_model().reset_all().insert(tx).await
}
