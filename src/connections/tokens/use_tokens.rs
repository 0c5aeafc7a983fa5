//! Which credentials a call uses, and renewal at the request of a connection's holder.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::connections::catalog::{AuthScheme, CredentialKey, CredentialSet};
use crate::connections::entity::connections::{self, Model, Status};
use crate::connections::guard::AuthorizedConnection;
use crate::connections::refresh_key::{RefreshCause, RefreshKey};
use crate::connections::sealed_credentials;
use crate::connections::state::Connections;
use crate::error::{ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::vault::constant_time_eq;

use super::failures::needs_reauth;
use super::refresh::refresh;
use super::rules::{is_expired, must_renew_before_use, was_just_renewed};

/// The credentials to use for a call. An access token that expires now is renewed first, and client credentials get
/// their first one.
///
/// # Errors
/// NEEDS_REAUTH; UPSTREAM_UNAVAILABLE, UPSTREAM_TIMEOUT and SERVICE_UNAVAILABLE if the token has expired and could not be
/// renewed.
pub async fn current(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    connection: &Model,
) -> Result<CredentialSet> {
    if connection.status == Status::NeedsReauth {
        return Err(needs_reauth(connection.last_error.as_deref()));
    }
    let credentials = sealed_credentials::open(platform, connection)?;
    let has_token = credentials.get(CredentialKey::AccessToken).is_some();
    let (expires_at, now) = (connection.expires_at, platform.now());
    if !is_renewed(connection) || !must_renew_before_use(has_token, expires_at, now) {
        return Ok(credentials);
    }
    match refresh(connections, platform, key(connection, RefreshCause::Expired)).await {
        Ok(renewed) => sealed_credentials::open(platform, &renewed),
        Err(error) => match error.code() {
            ErrorCode::NeedsReauth | ErrorCode::NotFound => Err(error),
            _ if has_token && !is_expired(expires_at, platform.now()) => Ok(credentials),
            _ => Err(error),
        },
    }
}

/// Other credentials to try once more with, after the provider refused those that were used: those that somebody else
/// has renewed meanwhile, else renewed ones. `None` if there are no others: the provider's answer is the result.
///
/// # Errors
/// NEEDS_REAUTH if only the owner of the credentials can help.
pub async fn after_unauthorized(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    connection: &Model,
    used: &CredentialSet,
) -> Result<Option<CredentialSet>> {
    if !is_renewed(connection) {
        return Ok(None);
    }
    let Some(row) = connections::find(platform.database.reads(), connection.id).await? else {
        return Ok(None);
    };
    if !has_same_secret(&row, connection) {
        return Ok(None);
    }
    let stored = sealed_credentials::open(platform, &row)?;
    if !have_same_token(&stored, used) {
        return Ok(Some(stored));
    }
    if was_just_renewed(row.last_refreshed_at, platform.now()) {
        return Ok(None);
    }
    match refresh(connections, platform, key(&row, RefreshCause::Unauthorized)).await {
        Ok(renewed) if !has_same_secret(&renewed, connection) => Ok(None),
        Ok(renewed) => sealed_credentials::open(platform, &renewed).map(Some),
        Err(error) if error.code() == ErrorCode::NeedsReauth => Err(error),
        Err(error) => {
            error.log();
            Ok(None)
        }
    }
}

/// Renews the access token now. Returns the connection.
///
/// # Errors
/// NEEDS_REAUTH; CONFLICT if the credentials cannot be renewed but may still be good; UPSTREAM_UNAVAILABLE,
/// UPSTREAM_TIMEOUT and SERVICE_UNAVAILABLE if it failed and may be tried again; UNKNOWN_PROVIDER if the provider's entry
/// was removed; NOT_FOUND if the connection was deleted meanwhile.
pub async fn refresh_now(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    connection: &AuthorizedConnection,
) -> Result<Model> {
    refresh(connections, platform, key(connection, RefreshCause::Requested)).await
}

fn key(connection: &Model, cause: RefreshCause) -> RefreshKey {
    let (id, version) = (connection.id, connection.credentials_version);
    RefreshKey { connection: id, seen_version: version, cause }
}

/// Whether the credentials have an access token that is renewed.
fn is_renewed(connection: &Model) -> bool {
    AuthScheme::from_name(&connection.scheme).is_some_and(AuthScheme::is_oauth)
}

/// Whether the secret is still the one that the caller has shown. New credentials may not be for them.
fn has_same_secret(row: &Model, shown: &Model) -> bool {
    row.secret_hash == shown.secret_hash
}

fn have_same_token(one: &CredentialSet, other: &CredentialSet) -> bool {
    let token = |set: &CredentialSet| set.get(CredentialKey::AccessToken).cloned();
    match (token(one), token(other)) {
        (Some(one), Some(other)) => {
            let (one, other) = (one.expose_secret(), other.expose_secret());
            constant_time_eq(one.as_bytes(), other.as_bytes())
        }
        (one, other) => one.is_none() && other.is_none(),
    }
}
