//! The job that gives the bonuses of leads, form by form, on one instance at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bonuses::Bonuses;
use crate::bonuses::campaign::{CampaignTerms, find_or_create, lock_running};
use crate::bonuses::entity::leads::{self, AfterFailure, LeadError, LeadState, Model};
use crate::bonuses::give::{Outcome, give};
use crate::bonuses::number_key::NumberKey;
use crate::config::leads::LeadNetwork;
use crate::error::{Error, ErrorCode, Result};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::{TransactionLock, Work};
use crate::platform::jobs::{Lease, LeaseKey, work_under};
use crate::platform::phone::PhoneNumber;

const JOB_NAME: &str = "apply_leads";
/// How many leads one transaction applies. Nobody can verify a number meanwhile.
const BATCH_SIZE: u64 = 200;
/// How long the job waits after an error.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long leads wait that need a change of the settings.
const MISCONFIGURED_DELAY: Duration = Duration::from_mins(10);

/// Gives the bonuses of all leads whose number is known.
pub async fn apply_leads(
    state: &Bonuses,
    platform: &Platform,
    stopping: &CancellationToken,
) -> Result<Option<Timestamp>> {
    if next_form(state, platform).await?.is_none() {
        return Ok(None);
    }
    let Some(lease) = Lease::acquire(platform, LeaseKey::job(JOB_NAME), RETRY_DELAY).await? else {
        return Ok(None);
    };
    let applying = Box::pin(apply_all(state, platform, &lease, stopping));
    match work_under(&lease, platform, applying).await {
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

/// A form whose leads are due.
async fn next_form(state: &Bonuses, platform: &Platform) -> Result<Option<(LeadNetwork, String)>> {
    let (db, forms) = (platform.database.reads(), state.leads.form_ids());
    Ok(leads::find_form_to_apply(db, &forms, platform.now()).await?)
}

async fn apply_all(
    state: &Bonuses,
    platform: &Platform,
    lease: &Lease,
    stopping: &CancellationToken,
) -> Result<()> {
    while !stopping.is_cancelled() {
        let Some((network, form)) = next_form(state, platform).await? else { break };
        let Some(terms) = state.leads.terms(network, &form) else { break };
        Box::pin(apply_batch(state, platform, lease, (network, &form), terms)).await?;
    }
    Ok(())
}

/// Applies leads of a form in one transaction.
async fn apply_batch(
    state: &Bonuses,
    platform: &Platform,
    lease: &Lease,
    (network, form): (LeadNetwork, &str),
    terms: &CampaignTerms,
) -> Result<()> {
    let key = state.number_key(platform).await?;
    let work = platform.begin_batch().await?;
    lease.fence(platform, &work).await?;
    // First, as those who verify a number hold it before they lock their account.
    work.lock_exclusively(TransactionLock::Bonuses).await?;
    let now = platform.now();
    let leads = leads::find_to_apply(&work, network, form, now, BATCH_SIZE).await?;
    let leads = open_phones(platform, &work, leads).await?;
    match apply(state, platform, &work, terms, &leads, key).await {
        Ok(true) => {}
        // A person was erased meanwhile. The next batch has the others.
        Ok(false) => return Ok(()),
        Err(error) if error.code() == ErrorCode::Conflict => {
            let ids: Vec<Uuid> = leads.iter().map(|(id, _)| *id).collect();
            let (error, then) = conflict(&error, now);
            leads::set_failed(&work, &ids, error, then, now).await?;
        }
        Err(error) => return Err(error),
    }
    work.commit().await
}

/// Gives the bonuses of leads. Returns whether all of them were still open; else the transaction must not be committed.
///
/// # Errors
/// CONFLICT before anything is given, if the campaign has ended or has other terms.
async fn apply(
    state: &Bonuses,
    platform: &Platform,
    work: &Work,
    terms: &CampaignTerms,
    leads: &[(Uuid, PhoneNumber)],
    key: &NumberKey,
) -> Result<bool> {
    let campaign = find_or_create(work, platform, terms).await?;
    let campaign = lock_running(work, campaign.id).await?;
    let numbers: Vec<PhoneNumber> = leads.iter().map(|(_, phone)| phone.clone()).collect();
    let hashes = numbers.iter().map(|number| key.hash(number)).collect();
    let outcomes = give(state, platform, work, &campaign, (&numbers, hashes)).await?;
    let mut ids_by_outcome: BTreeMap<Outcome, Vec<Uuid>> = BTreeMap::new();
    for ((id, _), outcome) in leads.iter().zip(outcomes) {
        ids_by_outcome.entry(outcome).or_default().push(*id);
    }
    let mut were_open = true;
    for (outcome, ids) in ids_by_outcome {
        were_open &= leads::set_applied(work, &ids, campaign.id, outcome.into()).await?;
    }
    Ok(were_open)
}

impl From<Outcome> for LeadState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Credited => Self::Credited,
            Outcome::Pending => Self::Pending,
            Outcome::Duplicate => Self::Duplicate,
        }
    }
}

/// What becomes of leads whose campaign does not take them.
fn conflict(error: &Error, now: Timestamp) -> (LeadError, AfterFailure) {
    let mut errors = error.user_errors().iter();
    if errors.any(|error| error.field.as_deref() == Some("campaign")) {
        let error = LeadError::new(ErrorCode::Conflict, "The campaign has ended.");
        return (error, AfterFailure::GiveUp(LeadState::Rejected));
    }
    let message = "LEAD_CAMPAIGNS gives another number of coins than the campaign.";
    let retry_at = now + MISCONFIGURED_DELAY;
    let error = LeadError::new(ErrorCode::Conflict, message);
    (error, AfterFailure::RetryAt(retry_at, LeadState::Received))
}

/// Opens the sealed numbers. Leads whose key is missing from the ring wait.
async fn open_phones(
    platform: &Platform,
    work: &Work,
    leads: Vec<Model>,
) -> Result<Vec<(Uuid, PhoneNumber)>> {
    let (mut opened, mut unreadable) = (Vec::with_capacity(leads.len()), Vec::new());
    for lead in leads {
        match open_phone(platform, &lead) {
            Ok(phone) => opened.push((lead.id, phone)),
            Err(error) => {
                error.log();
                unreadable.push(lead.id);
            }
        }
    }
    if !unreadable.is_empty() {
        let message = "The number cannot be read: SECRET_KEYS lacks the key that sealed it.";
        let error = LeadError::new(ErrorCode::InternalServerError, message);
        let now = platform.now();
        let then = AfterFailure::RetryAt(now + MISCONFIGURED_DELAY, LeadState::Received);
        leads::set_failed(work, &unreadable, error, then, now).await?;
    }
    Ok(opened)
}

fn open_phone(platform: &Platform, lead: &Model) -> Result<PhoneNumber> {
    let sealed = lead.sealed_phone.as_ref().ok_or_else(|| Error::internal("no number"))?;
    let phone = platform.vault.open(&leads::aad(&lead.id), sealed)?;
    let phone = String::from_utf8(phone).map_err(Error::internal)?;
    Ok(PhoneNumber::parse(&phone, None)?)
}
