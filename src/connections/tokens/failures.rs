//! What is stored of a renewal that failed, and which error it is for the caller.

use crate::connections::entity::connection_tokens::{self, Failure};
use crate::connections::entity::connections::{Model, Status};
use crate::connections::topics::connection_topic;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::platform::Platform;
use crate::platform::jobs::Lease;

use super::rules::{BACKOFF, backoff_left};

/// The error of a connection that needs new credentials.
pub fn needs_reauth(reason: Option<&str>) -> Error {
    let reason = reason.unwrap_or("The provider no longer accepts these credentials.");
    Error::new(ErrorCode::NeedsReauth, reason)
}

/// The error of a connection whose renewal failed, if the next attempt has to wait.
pub fn backing_off(platform: &Platform, connection: &Model) -> Option<Error> {
    let retry_after = backoff_left(connection.next_refresh_at, platform.now())?;
    let code = connection.last_error_code.as_deref().and_then(ErrorCode::from_stored_name);
    let message = connection.last_error.as_deref().unwrap_or("The token could not be renewed.");
    let error = UserError::new(code.unwrap_or(ErrorCode::UpstreamUnavailable), message);
    Some(UserError { retry_after: Some(retry_after), ..error }.into())
}

/// Stores that only the owner of the credentials can help. Returns the error for the caller.
///
/// # Errors
/// CONFLICT if another instance took over.
pub async fn store_needs_reauth(
    platform: &Platform,
    lease: &Lease,
    connection: &Model,
    reason: String,
) -> Result<Error> {
    let error = needs_reauth(Some(&reason));
    let failure = Failure {
        status: Status::NeedsReauth,
        error: reason,
        error_code: ErrorCode::NeedsReauth.stored_name(),
        failed_at: platform.now(),
        failures: 0,
        next_refresh_at: None,
    };
    store(platform, lease, connection, failure).await?;
    Ok(error)
}

/// Stores that the renewal is to be tried again, later each time. Returns the error for the caller.
///
/// # Errors
/// CONFLICT if another instance took over.
pub async fn store_degraded(
    platform: &Platform,
    lease: &Lease,
    connection: &Model,
    problem: UserError,
) -> Result<Error> {
    let failures = connection.refresh_failures.saturating_add(1);
    let delay = BACKOFF.delay(failures.unsigned_abs(), platform);
    let message = format!("The access token could not be renewed. {}", problem.message);
    let failure = Failure {
        status: Status::Degraded,
        error: message.clone(),
        error_code: problem.code.stored_name(),
        failed_at: platform.now(),
        failures,
        next_refresh_at: Some(platform.now() + delay),
    };
    store(platform, lease, connection, failure).await?;
    Ok(UserError { message, retry_after: Some(delay), ..problem }.into())
}

async fn store(
    platform: &Platform,
    lease: &Lease,
    connection: &Model,
    failure: Failure,
) -> Result<()> {
    let tx = platform.begin().await?;
    lease.fence(platform, &tx).await?;
    let version = (connection.id, connection.credentials_version);
    if connection_tokens::store_failure(&tx, version, failure).await? {
        tx.publish(connection_topic(connection.id));
    }
    tx.commit().await
}
