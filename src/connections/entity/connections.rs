//! The connections table. [`find`] is for the guard, and for jobs that act for no caller. What a caller changes also
//! filters by the hash of their secret, so that nothing happens with a secret that was replaced meanwhile.

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{ActiveValue::Set, Condition, ExprTrait, IntoActiveModel, UpdateMany};
use serde::Serialize;

use crate::ids::ConnectionId;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{RowSetSql, RowUuid, Work, row_set_sql};
use crate::platform::reseal::{SealedColumn, reseal};

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connections")]
pub struct Model {
    /// The reference.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConnectionId,
    /// The SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    /// The key of the provider.
    pub provider: String,
    /// The name of the scheme.
    pub scheme: String,
    /// The credentials, encrypted.
    pub sealed_credentials: Vec<u8>,
    /// Counts the changes of the credentials.
    pub credentials_version: i32,
    /// When the credentials were given or renewed.
    pub credentials_set_at: Timestamp,
    /// When the access token expires, if that is known.
    pub expires_at: Option<Timestamp>,
    /// When the access token was renewed.
    pub last_refreshed_at: Option<Timestamp>,
    /// The caller's name for it.
    pub label: Option<String>,
    /// The caller's own reference to whom it belongs.
    pub end_user: Option<String>,
    /// Whether the credentials work.
    pub status: Status,
    /// Why the credentials do not work, for people.
    pub last_error: Option<String>,
    /// The stored name of the error code of that.
    pub last_error_code: Option<String>,
    /// When that was found out.
    pub failed_at: Option<Timestamp>,
    /// How often in a row the access token could not be renewed.
    pub refresh_failures: i32,
    /// When that is tried again.
    pub next_refresh_at: Option<Timestamp>,
    /// The number of calls.
    pub calls: i64,
    /// When it was called last.
    pub last_used_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Whether the credentials of a connection work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// They do, as far as is known.
    Active,
    /// The access token could not be renewed. It is tried again.
    Degraded,
    /// The provider no longer accepts them.
    NeedsReauth,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Inserts a connection.
pub async fn insert(db: &impl ConnectionTrait, connection: Model) -> Result<(), DbErr> {
    let row = connection.into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// The connection with this id.
pub async fn find(db: &impl ConnectionTrait, id: ConnectionId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// A connection, if it still has this secret.
fn has_secret(id: ConnectionId, secret_hash: &[u8]) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::SecretHash.eq(secret_hash))
}

pub(super) async fn update_one(
    update: UpdateMany<Entity>,
    db: &impl ConnectionTrait,
) -> Result<bool, DbErr> {
    Ok(update.exec(db).await?.rows_affected == 1)
}

/// What a caller changes of a connection. None leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The label.
    pub label: Option<String>,
    /// The caller's own reference.
    pub end_user: Option<String>,
    /// The credentials.
    pub credentials: Option<NewCredentials>,
}

impl Changes {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.end_user.is_none() && self.credentials.is_none()
    }
}

/// Credentials that replace others.
#[derive(Clone, Debug)]
pub struct NewCredentials {
    /// The credentials, encrypted.
    pub sealed: Vec<u8>,
    /// When they were given or renewed.
    pub set_at: Timestamp,
    /// When the access token expires, if that is known.
    pub expires_at: Option<Timestamp>,
}

/// Changes a connection, if it still has this secret. New credentials make it active. Returns whether it was changed.
pub async fn update(
    db: &impl ConnectionTrait,
    id: ConnectionId,
    secret_hash: &[u8],
    changes: Changes,
) -> Result<bool, DbErr> {
    let mut row = ActiveModel { id: Set(id), ..Default::default() };
    if let Some(label) = changes.label {
        row.label = Set(Some(label));
    }
    if let Some(end_user) = changes.end_user {
        row.end_user = Set(Some(end_user));
    }
    let mut update = Entity::update_many();
    if let Some(credentials) = changes.credentials {
        row.sealed_credentials = Set(credentials.sealed);
        row.credentials_set_at = Set(credentials.set_at);
        row.expires_at = Set(credentials.expires_at);
        row.status = Set(Status::Active);
        row.last_error = Set(None);
        row.last_error_code = Set(None);
        row.failed_at = Set(None);
        row.refresh_failures = Set(0);
        row.next_refresh_at = Set(None);
        update = update.col_expr(Column::CredentialsVersion, next_version());
    }
    update_one(update.set(row).filter(has_secret(id, secret_hash)), db).await
}

pub(super) fn next_version() -> SimpleExpr {
    Expr::col(Column::CredentialsVersion).add(1)
}

/// Replaces the secret, if the connection still has the old one. Returns whether it was replaced.
pub async fn replace_secret(
    db: &impl ConnectionTrait,
    id: ConnectionId,
    old_hash: &[u8],
    new_hash: &[u8],
) -> Result<bool, DbErr> {
    let row = ActiveModel { secret_hash: Set(new_hash.to_vec()), ..Default::default() };
    update_one(Entity::update_many().set(row).filter(has_secret(id, old_hash)), db).await
}

/// Deletes a connection, if it still has this secret. Returns whether it was deleted.
pub async fn delete(
    db: &impl ConnectionTrait,
    id: ConnectionId,
    secret_hash: &[u8],
) -> Result<bool, DbErr> {
    let deletion = Entity::delete_many().filter(has_secret(id, secret_hash));
    Ok(deletion.exec(db).await?.rows_affected == 1)
}

/// Calls that are added to the count of a connection.
#[derive(Clone, Debug, Serialize)]
pub struct NewCalls {
    /// The connection.
    pub id: RowUuid,
    /// How many.
    pub calls: i64,
    /// When the last one was.
    pub last_used_at: String,
}

const COUNT_CALLS: RowSetSql = row_set_sql!("sql/count_calls");

/// Counts calls, each connection once. Connections that were deleted are left out.
pub async fn count_calls(tx: &Work, calls: &[NewCalls]) -> crate::error::Result<()> {
    tx.execute_raw(COUNT_CALLS.bind(tx.get_database_backend(), calls, [])?).await?;
    Ok(())
}

/// Reseals the credentials of all connections. Returns how many it changed.
pub async fn reseal_credentials(
    platform: &Platform,
    aad: fn(&ConnectionId) -> String,
) -> crate::error::Result<u64> {
    let column = SealedColumn { key: Column::Id, sealed: Column::SealedCredentials, aad };
    reseal::<Entity, _>(platform, &column, Condition::all()).await
}
