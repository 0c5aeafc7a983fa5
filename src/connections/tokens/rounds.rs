//! Background jobs that renew access tokens: those that are due, every 15 minutes, and those whose renewal failed, when
//! their back-off is over.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use crate::connections::catalog::{AuthScheme, Provider};
use crate::connections::entity::connection_tokens::{
    DueRule, VersionedId, find_due, find_retryable,
};
use crate::connections::refresh_key::{RefreshCause, RefreshKey};
use crate::connections::state::Connections;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::run_on_one_instance;

use super::refresh::refresh;
use super::rules::{BACKOFF, ROUND_INTERVAL, due_horizon};

const JOB_NAME: &str = "refresh_connections";
const PAGE_SIZE: u64 = 500;
/// How many of a provider's are renewed at the same time, and how many of those whose renewal failed.
const CONCURRENCY: usize = 8;
const RETRY_CONCURRENCY: usize = 32;

/// Renews the tokens that are due, when this instance gets the lease. Returns when to run again.
///
/// # Errors
/// SERVICE_UNAVAILABLE if the database cannot be read. A renewal that fails is no error of the job.
pub async fn refresh_due(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
) -> Result<Option<Timestamp>> {
    run_on_one_instance(platform, JOB_NAME, ROUND_INTERVAL, async |_| {
        let now = platform.now();
        let rules: Vec<_> =
            connections.catalog.iter().filter_map(|provider| due_rule(provider, now)).collect();
        // All at once, so that a provider that does not answer keeps no other one waiting.
        let rounds = rules.iter().map(|rule| refresh_all_due(connections, platform, rule));
        tokio::select! {
            results = join_all(rounds) => results.into_iter().collect::<Result<()>>()?,
            // The next round goes on with those that are left.
            () = platform.clock.sleep_until(now + ROUND_INTERVAL) => {}
        }
        Ok(now + ROUND_INTERVAL)
    })
    .await
}

/// Which connections of a provider are due. `None` if its tokens are not renewed.
fn due_rule(provider: &Provider, now: Timestamp) -> Option<DueRule<'_>> {
    let token = provider.token.as_ref()?;
    let kinds = AuthScheme::ALL.into_iter().filter(|kind| provider.is_refreshable(*kind));
    Some(DueRule {
        provider: &provider.key,
        schemes: kinds.map(AuthScheme::name).collect(),
        expires_before: due_horizon(now),
        set_before: token.assume_lifetime.map(|lifetime| now - lifetime),
        fetched_when_used: AuthScheme::Oauth2ClientCredentials.name(),
    })
}

async fn refresh_all_due(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    rule: &DueRule<'_>,
) -> Result<()> {
    let mut last = None;
    loop {
        let page = find_due(platform.database.reads(), rule, last, PAGE_SIZE).await?;
        let is_last = (page.len() as u64) < PAGE_SIZE;
        last = page.last().map(|(id, _)| *id);
        refresh_page(connections, platform, page, CONCURRENCY).await;
        if is_last {
            return Ok(());
        }
    }
}

/// Tries again to renew the tokens whose back-off is over.
///
/// # Errors
/// SERVICE_UNAVAILABLE if the database cannot be read.
pub async fn retry_failed(connections: &Arc<Connections>, platform: &Arc<Platform>) -> Result<()> {
    let providers = connections.catalog.iter().filter(|provider| provider.token.is_some());
    let providers: Vec<&str> = providers.map(|provider| provider.key.as_str()).collect();
    let (db, now) = (platform.database.reads(), platform.now());
    let page = find_retryable(db, &providers, now, BACKOFF.max, PAGE_SIZE).await?;
    refresh_page(connections, platform, page, RETRY_CONCURRENCY).await;
    Ok(())
}

async fn refresh_page(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    page: Vec<VersionedId>,
    concurrency: usize,
) {
    let refreshes = page.into_iter().map(|(connection, seen_version)| async move {
        let key = RefreshKey { connection, seen_version, cause: RefreshCause::Due };
        if let Err(error) = refresh(connections, platform, key).await {
            // What the provider did is stored with the connection. This logs internal causes only.
            error.log();
        }
    });
    stream::iter(refreshes).buffer_unordered(concurrency).collect::<()>().await;
}
