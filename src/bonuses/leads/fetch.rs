//! The job that fetches the leads of Meta's webhooks, on one instance at a time. A lead that cannot be fetched is tried
//! again for days.

use std::time::Duration;

use futures_util::{TryStreamExt, stream};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::meta_lead::{FetchedLead, parse_response};
use super::store::{LeadContent, with_phone};
use crate::bonuses::Bonuses;
use crate::bonuses::entity::leads::{
    self, AfterFailure, Forms, LeadError, LeadState, MAX_DELAY, Model,
};
use crate::config::leads::{LeadNetwork, MetaConfig};
use crate::error::{ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::jobs::{Backoff, Lease, LeaseKey, work_under};
use crate::platform::outbound::{EgressPolicy, Request};

const JOB_NAME: &str = "fetch_leads";
const BATCH_SIZE: u64 = 100;
const MAX_CONCURRENT: usize = 4;
/// How long the job waits after an error of ours.
const RETRY_DELAY: Duration = Duration::from_secs(5);
const BACKOFF: Backoff = Backoff { initial: Duration::from_mins(1), max: MAX_DELAY };
/// A lead is given up when it is this old and was tried this often.
const MAX_AGE: Duration = Duration::from_hours(7 * 24);
const MIN_ATTEMPTS: i32 = 10;
/// Leads have a few kilobytes.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Fetches the leads that are due.
pub async fn fetch_leads(
    state: &Bonuses,
    platform: &Platform,
    stopping: &CancellationToken,
) -> Result<Option<Timestamp>> {
    let Some(meta) = &state.leads.meta else { return Ok(None) };
    let forms = state.leads.form_ids();
    let Some(forms) = forms.into_iter().find(|(network, _)| *network == LeadNetwork::Meta) else {
        return Ok(None);
    };
    if find_due(platform, forms, 1).await?.is_empty() {
        return Ok(None);
    }
    let Some(lease) = Lease::acquire(platform, LeaseKey::job(JOB_NAME), RETRY_DELAY).await? else {
        return Ok(None);
    };
    let fetching = async {
        while !stopping.is_cancelled() {
            let due = find_due(platform, forms, BATCH_SIZE).await?;
            if due.is_empty() {
                break;
            }
            let fetched = stream::iter(due.into_iter().map(Ok));
            fetched
                .try_for_each_concurrent(MAX_CONCURRENT, |lead| {
                    Box::pin(fetch_lead(state, platform, &lease, meta, lead))
                })
                .await?;
        }
        Ok(())
    };
    match work_under(&lease, platform, Box::pin(fetching)).await {
        Ok(()) => lease.release(platform, platform.now()).await?,
        // Another instance has taken over.
        Err(error) if Lease::is_lost(&error) => {}
        Err(error) => {
            lease.release(platform, platform.now() + RETRY_DELAY).await?;
            return Err(error);
        }
    }
    Ok(None)
}

async fn find_due(platform: &Platform, forms: Forms<'_>, limit: u64) -> Result<Vec<Model>> {
    Ok(leads::find_to_fetch(platform.database.reads(), forms, platform.now(), limit).await?)
}

/// Fetches a lead, and records its number or why there is none yet.
async fn fetch_lead(
    state: &Bonuses,
    platform: &Platform,
    lease: &Lease,
    meta: &MetaConfig,
    lead: Model,
) -> Result<()> {
    let fetched = request(state, platform, meta, &lead.lead_id).await;
    let key = state.number_key(platform).await?;
    let work = platform.begin().await?;
    lease.fence(platform, &work).await?;
    let now = platform.now();
    match fetched {
        Err(error) => {
            let then = after_failure(platform, &lead, now);
            leads::set_failed(&work, &[lead.id], error, then, now).await?;
        }
        Ok(FetchedLead { content: LeadContent::Invalid(error), .. }) => {
            let then = AfterFailure::GiveUp(LeadState::Rejected);
            leads::set_failed(&work, &[lead.id], error, then, now).await?;
        }
        Ok(FetchedLead { content: LeadContent::Phone(phone), consent, submitted_at }) => {
            let lead = with_phone(lead, platform, key, &phone);
            let submitted_at = submitted_at.or(lead.submitted_at);
            let lead = Model { state: LeadState::Received, consent, submitted_at, ..lead };
            leads::set_fetched(&work, lead, now).await?;
            work.notify(&state.leads.apply_notifier);
        }
        Ok(FetchedLead { content: LeadContent::Test | LeadContent::ToFetch, .. }) => {
            leads::set_fetched(&work, Model { state: LeadState::Test, ..lead }, now).await?;
        }
    }
    work.commit().await
}

/// When a lead is tried again, if it is.
fn after_failure(platform: &Platform, lead: &Model, now: Timestamp) -> AfterFailure {
    let attempts = lead.attempts + 1;
    if attempts >= MIN_ATTEMPTS && lead.received_at + MAX_AGE <= now {
        return AfterFailure::GiveUp(LeadState::Unfetched);
    }
    let delay = BACKOFF.delay(attempts.unsigned_abs(), platform);
    AfterFailure::RetryAt(now + delay, LeadState::Unfetched)
}

/// Asks Meta for a lead.
async fn request(
    state: &Bonuses,
    platform: &Platform,
    meta: &MetaConfig,
    lead_id: &str,
) -> Result<FetchedLead, LeadError> {
    let mut url = meta.base_url.clone();
    let misconfigured =
        |problem: &str| LeadError::new(ErrorCode::InternalServerError, problem.to_owned());
    url.path_segments_mut()
        .map_err(|()| misconfigured("META_BASE_URL has no path."))?
        .pop_if_empty()
        .push(lead_id);
    let token = format!("Bearer {}", meta.page_token.expose_secret());
    let token = HeaderValue::try_from(token)
        .map_err(|_| misconfigured("META_PAGE_TOKEN does not fit into a header."))?;
    // In a header: URLs end up in logs.
    let request = Request::new(Method::GET, url).secret_header(AUTHORIZATION, token);
    let policy =
        EgressPolicy { max_response_bytes: MAX_RESPONSE_BYTES, ..EgressPolicy::operator() };
    let response = platform.outbound.call(request, &policy).await?;
    parse_response(&response, state.default_region.as_ref())
}
