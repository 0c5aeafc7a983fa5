//! Renews the access token of a connection: once for all callers of all instances.
//!
//! A single flight joins the callers of this instance, and a lease keeps others from the same refresh token, which many
//! providers accept once. New tokens are stored before anybody uses them.

use std::sync::Arc;
use std::time::Duration;

use crate::connections::catalog::{CredentialSet, Provider, Scheme};
use crate::connections::entity::connection_tokens;
use crate::connections::entity::connections::{self, Model, NewCredentials, Status};
use crate::connections::find_scheme::{provider_of, scheme_of};
use crate::connections::guard::not_found;
use crate::connections::refresh_key::{RefreshCause, RefreshKey};
use crate::connections::refresh_stats::RefreshOutcome;
use crate::connections::sealed_credentials;
use crate::connections::state::Connections;
use crate::connections::token_exchange::{CannotRefresh, TokenOutcome, token_request};
use crate::connections::topics::connection_topic;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::platform::Platform;
use crate::platform::jobs::{LEASE_DURATION, Lease, LeaseKey};

use super::exchange::{TokenAnswer, exchange, failed};
use super::failures::{backing_off, needs_reauth, store_degraded, store_needs_reauth};
use super::rules::is_expired;

const LEASE_KIND: &str = "connection_refresh";
/// How long a caller waits for another instance: until the lease of one that died has expired.
const MAX_WAIT: Duration = Duration::from_secs(LEASE_DURATION.as_secs() + 2);
/// How often a caller looks whether another instance is done, besides its events.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);
/// How often, and how long apart, new tokens are tried to be stored: they exist nowhere else. Ten minutes, in which a
/// database can be restarted or replaced.
const STORE_ATTEMPTS: u32 = 600;
const STORE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a caller waits for a renewal.
const MAX_CALLER_WAIT: Duration = Duration::from_secs(30);

/// Replaces the credentials that a caller has seen. Returns the connection with other ones, whoever renewed them.
///
/// # Errors
/// NEEDS_REAUTH; UPSTREAM_UNAVAILABLE and UPSTREAM_TIMEOUT if it is tried again later; CONFLICT if they cannot be renewed
/// but may still be good; SERVICE_UNAVAILABLE if another instance takes too long; NOT_FOUND if the connection was deleted.
pub async fn refresh(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    key: RefreshKey,
) -> Result<Model> {
    let flight = connections.refreshes.run(key, || {
        let (connections, platform) = (connections.clone(), platform.clone());
        async move { refresh_or_wait(&connections, &platform, key).await }
    });
    let panicked = || Err(Error::internal("the renewal of a token panicked"));
    tokio::select! {
        result = flight => result.unwrap_or_else(panicked),
        // The renewal goes on without the caller.
        () = platform.clock.sleep_until(platform.now() + MAX_CALLER_WAIT) => Err(still_renewing()),
    }
}

fn still_renewing() -> Error {
    let message = "The access token is being renewed. Try again.";
    Error::new(ErrorCode::ServiceUnavailable, message)
}

async fn refresh_or_wait(
    connections: &Connections,
    platform: &Platform,
    key: RefreshKey,
) -> Result<Model> {
    // Before the row is read, so that no change is missed.
    let mut changes = platform.events.listen(connection_topic(key.connection));
    let started_at = platform.uptime();
    loop {
        let row = find(platform, key).await?;
        if let Some(settled) = settled(platform, key, row) {
            return settled;
        }
        let lease_key = LeaseKey { kind: LEASE_KIND, key: key.connection.to_string().into() };
        if let Some(lease) = Lease::acquire(platform, lease_key, Duration::ZERO).await? {
            let result = refresh_under(&lease, connections, platform, key).await;
            // Otherwise it expires, which delays the next attempt.
            if let Err(error) = lease.forget(platform).await
                && !Lease::is_lost(&error)
            {
                error.log();
            }
            match result {
                // Another instance took over, and will have a result.
                Err(error) if Lease::is_lost(&error) => {}
                result => return result,
            }
        }
        let waited = platform.uptime().saturating_sub(started_at);
        if key.cause == RefreshCause::Due || waited >= MAX_WAIT {
            return Err(still_renewing());
        }
        tokio::select! {
            () = changes.changed() => {}
            () = platform.clock.sleep_until(platform.now() + WAIT_INTERVAL) => {}
        }
    }
}

async fn find(platform: &Platform, key: RefreshKey) -> Result<Model> {
    let row = connections::find(platform.database.reads(), key.connection).await?;
    row.ok_or_else(not_found)
}

/// The result without a request, if there is one: somebody else has renewed the token or failed to, or the next attempt
/// has to wait.
fn settled(platform: &Platform, key: RefreshKey, row: Model) -> Option<Result<Model>> {
    let is_replaced = row.credentials_version != key.seen_version;
    let is_requested = key.cause == RefreshCause::Requested;
    if row.status == Status::NeedsReauth && (is_replaced || !is_requested) {
        return Some(Err(needs_reauth(row.last_error.as_deref())));
    }
    if is_replaced {
        return Some(Ok(row));
    }
    backing_off(platform, &row).filter(|_| !is_requested).map(Err)
}

async fn refresh_under(
    lease: &Lease,
    connections: &Connections,
    platform: &Platform,
    key: RefreshKey,
) -> Result<Model> {
    // The last holder may have been done just before this one.
    let row = find(platform, key).await?;
    if let Some(settled) = settled(platform, key, row.clone()) {
        return settled;
    }
    let provider = provider_of(connections, &row)?;
    let scheme = scheme_of(provider, &row)?;
    let refresh = Refresh { lease, platform, provider, scheme, key, row };
    let (outcome, result) = refresh.run(connections).await?;
    connections.refresh_stats.record(&provider.key, outcome);
    result
}

/// One renewal, under its lease.
struct Refresh<'a> {
    lease: &'a Lease,
    platform: &'a Platform,
    provider: &'a Provider,
    scheme: &'a Scheme,
    key: RefreshKey,
    row: Model,
}

impl Refresh<'_> {
    async fn run(&self, connections: &Connections) -> Result<(RefreshOutcome, Result<Model>)> {
        let mut credentials = sealed_credentials::open(self.platform, &self.row)?;
        let allowed = &connections.outbound_allow;
        let request = match token_request(self.provider, self.scheme.kind, &credentials, allowed) {
            Ok(request) => request,
            Err(reason) => {
                return Ok((RefreshOutcome::Impossible, Err(self.give_up(&reason).await?)));
            }
        };
        let problem = match exchange(self.platform, self.provider, request).await {
            TokenAnswer::Answered(TokenOutcome::Renewed(tokens)) => {
                credentials.renew(&tokens);
                self.store(&credentials).await?;
                // With other credentials, if their owner replaced them meanwhile.
                return Ok((RefreshOutcome::Renewed, find(self.platform, self.key).await));
            }
            TokenAnswer::Answered(TokenOutcome::Revoked(code)) => {
                let error = self.store_needs_reauth(self.revoked_reason(&code)).await?;
                return Ok((RefreshOutcome::Revoked, Err(error)));
            }
            TokenAnswer::Answered(TokenOutcome::Refused(code) | TokenOutcome::Failed(code)) => {
                failed(&code)
            }
            TokenAnswer::Unanswered(error) => error,
        };
        let error = store_degraded(self.platform, self.lease, &self.row, problem).await?;
        Ok((RefreshOutcome::Failed, Err(error)))
    }

    /// Many providers accept a refresh token once. If an instance died between the provider's answer and its commit, the
    /// new refresh token is lost, and only the provider's grace for the old one can help.
    fn revoked_reason(&self, code: &str) -> String {
        let had_interruption = self.lease.attempts > 1;
        match had_interruption {
            true => format!(
                "The provider refused the refresh token ({code}) after a renewal that was interrupted: the tokens of \
                 that one were lost. Give new credentials."
            ),
            false => {
                format!("The provider refused the refresh token ({code}). Give new credentials.")
            }
        }
    }

    /// Nobody but the owner of the credentials can help, once the access token has expired.
    async fn give_up(&self, reason: &CannotRefresh) -> Result<Error> {
        let is_expired = is_expired(self.row.expires_at, self.platform.now());
        let is_refused =
            self.key.cause == RefreshCause::Unauthorized && self.row.expires_at.is_none();
        if is_expired || is_refused {
            let reason = format!("The access token has expired. {reason}");
            return self.store_needs_reauth(reason).await;
        }
        let problem = UserError::new(ErrorCode::Conflict, reason.to_string());
        match self.row.status {
            // Not tried again each second.
            Status::Degraded => store_degraded(self.platform, self.lease, &self.row, problem).await,
            _ => Ok(problem.into()),
        }
    }

    async fn store_needs_reauth(&self, reason: String) -> Result<Error> {
        store_needs_reauth(self.platform, self.lease, &self.row, reason).await
    }

    /// Stores new tokens. The version alone decides whether they are still wanted, not the lease: if this instance was
    /// held up until another one took over, that one may have been refused with the refresh token that gave these.
    async fn store(&self, credentials: &CredentialSet) -> Result<()> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.try_store(credentials).await {
                Err(error) if attempts < STORE_ATTEMPTS => {
                    tracing::warn!("new tokens were not stored: {}", error.describe());
                    let next = self.platform.now() + STORE_INTERVAL;
                    self.platform.clock.sleep_until(next).await;
                }
                stored => return stored,
            }
        }
    }

    async fn try_store(&self, credentials: &CredentialSet) -> Result<()> {
        let renewed = NewCredentials {
            sealed: sealed_credentials::seal(self.platform, self.row.id, credentials),
            set_at: self.platform.now(),
            expires_at: credentials.expires_at(),
        };
        let version = (self.row.id, self.row.credentials_version);
        let tx = self.platform.begin().await?;
        if connection_tokens::store_renewed(&tx, version, renewed).await? {
            tx.publish(connection_topic(self.row.id));
        }
        tx.commit().await
    }
}
