//! The connections table for the renewal of access tokens. Outcomes are written only while the credentials have the
//! version that the renewal began with, so that it never undoes newer ones.

use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, Condition, QueryOrder, QuerySelect};

use super::connections::{
    ActiveModel, Column, Entity, NewCredentials, Status, next_version, update_one,
};
use crate::ids::ConnectionId;
use crate::platform::clock::{MAX_SKEW, Timestamp};

/// A connection and the version of its credentials.
pub type VersionedId = (ConnectionId, i32);

/// Which connections of a provider are due.
#[derive(Clone, Debug)]
pub struct DueRule<'a> {
    /// The key of the provider.
    pub provider: &'a str,
    /// The names of the schemes that are renewed.
    pub schemes: Vec<&'static str>,
    /// Tokens that expire before this are due.
    pub expires_before: Timestamp,
    /// Tokens of unknown expiry that were set before this are due. `None`: none is.
    pub set_before: Option<Timestamp>,
    /// The scheme whose first token is fetched when it is used, not before.
    pub fetched_when_used: &'static str,
}

/// Due connections in the order of their ids, after this one.
pub async fn find_due(
    db: &impl ConnectionTrait,
    rule: &DueRule<'_>,
    after: Option<ConnectionId>,
    limit: u64,
) -> Result<Vec<VersionedId>, DbErr> {
    let mut is_due = Condition::any().add(Column::ExpiresAt.lt(rule.expires_before));
    if let Some(set_before) = rule.set_before {
        let was_fetched = Condition::any()
            .add(Column::Scheme.ne(rule.fetched_when_used))
            .add(Column::LastRefreshedAt.is_not_null());
        let is_old = Condition::all()
            .add(Column::ExpiresAt.is_null())
            .add(Column::CredentialsSetAt.lt(set_before))
            .add(was_fetched);
        is_due = is_due.add(is_old);
    }
    let mut due = Entity::find()
        .select_only()
        .columns([Column::Id, Column::CredentialsVersion])
        .filter(Column::Provider.eq(rule.provider))
        .filter(Column::Scheme.is_in(rule.schemes.iter().copied()))
        .filter(Column::Status.eq(Status::Active))
        .filter(is_due);
    if let Some(after) = after {
        due = due.filter(Column::Id.gt(after));
    }
    due.order_by_asc(Column::Id).limit(limit).into_tuple().all(db).await
}

/// Connections of these providers whose renewal failed and is to be tried again now. A time further ahead than
/// `max_backoff` was set before the clock was set back.
pub async fn find_retryable(
    db: &impl ConnectionTrait,
    providers: &[&str],
    now: Timestamp,
    max_backoff: Duration,
    limit: u64,
) -> Result<Vec<VersionedId>, DbErr> {
    let is_due = Condition::any()
        .add(Column::NextRefreshAt.lte(now))
        .add(Column::NextRefreshAt.gt(now + max_backoff + MAX_SKEW));
    let retryable = Entity::find()
        .select_only()
        .columns([Column::Id, Column::CredentialsVersion])
        .filter(is_due)
        .filter(Column::Status.eq(Status::Degraded))
        .filter(Column::Provider.is_in(providers.iter().copied()));
    retryable.order_by_asc(Column::NextRefreshAt).limit(limit).into_tuple().all(db).await
}

fn has_version((id, version): VersionedId) -> Condition {
    Condition::all().add(Column::Id.eq(id)).add(Column::CredentialsVersion.eq(version))
}

/// Stores renewed credentials, which makes the connection active. Returns whether they were stored.
pub async fn store_renewed(
    db: &impl ConnectionTrait,
    connection: VersionedId,
    credentials: NewCredentials,
) -> Result<bool, DbErr> {
    let row = ActiveModel {
        sealed_credentials: Set(credentials.sealed),
        credentials_set_at: Set(credentials.set_at),
        expires_at: Set(credentials.expires_at),
        last_refreshed_at: Set(Some(credentials.set_at)),
        status: Set(Status::Active),
        last_error: Set(None),
        last_error_code: Set(None),
        failed_at: Set(None),
        refresh_failures: Set(0),
        next_refresh_at: Set(None),
        ..Default::default()
    };
    let update = Entity::update_many()
        .col_expr(Column::CredentialsVersion, next_version())
        .set(row)
        .filter(has_version(connection));
    update_one(update, db).await
}

/// Why an access token was not renewed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The status from now on.
    pub status: Status,
    /// The reason, for people.
    pub error: String,
    /// The stored name of its code.
    pub error_code: &'static str,
    /// The time.
    pub failed_at: Timestamp,
    /// How often in a row it was not.
    pub failures: i32,
    /// When it is tried again.
    pub next_refresh_at: Option<Timestamp>,
}

/// Stores a failure. Returns whether it was stored.
pub async fn store_failure(
    db: &impl ConnectionTrait,
    connection: VersionedId,
    failure: Failure,
) -> Result<bool, DbErr> {
    let row = ActiveModel {
        status: Set(failure.status),
        last_error: Set(Some(failure.error)),
        last_error_code: Set(Some(failure.error_code.to_owned())),
        failed_at: Set(Some(failure.failed_at)),
        refresh_failures: Set(failure.failures),
        next_refresh_at: Set(failure.next_refresh_at),
        ..Default::default()
    };
    update_one(Entity::update_many().set(row).filter(has_version(connection)), db).await
}

/// The number of connections by provider and status.
pub async fn count_by_status(
    db: &impl ConnectionTrait,
) -> Result<Vec<(String, Status, i64)>, DbErr> {
    let counts = Entity::find()
        .select_only()
        .columns([Column::Provider, Column::Status])
        .column_as(Column::Id.count(), "number")
        .group_by(Column::Provider)
        .group_by(Column::Status);
    counts.into_tuple().all(db).await
}

/// The error codes of connections by provider, each with the time when it occurred last.
pub async fn last_error_codes(
    db: &impl ConnectionTrait,
) -> Result<Vec<(String, String, Timestamp)>, DbErr> {
    let codes = Entity::find()
        .select_only()
        .columns([Column::Provider, Column::LastErrorCode])
        .column_as(Column::FailedAt.max(), "failed_at")
        .filter(Column::LastErrorCode.is_not_null())
        .filter(Column::FailedAt.is_not_null())
        .group_by(Column::Provider)
        .group_by(Column::LastErrorCode);
    codes.into_tuple().all(db).await
}
