//! Storage of incoming leads. A webhook or claim is acknowledged only after it.

use crate::bonuses::Bonuses;
use crate::bonuses::entity::leads::{self, LeadError, LeadState, Model};
use crate::bonuses::number_key::NumberKey;
use crate::config::leads::LeadNetwork;
use crate::error::Result;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::database::Work;
use crate::platform::phone::PhoneNumber;

/// The longest text of a consent that is kept.
pub const MAX_CONSENT_LEN: usize = 2_000;

/// The consent of a network that checks no texts: without control characters, and as long as is kept.
pub fn clean_consent(text: &str) -> String {
    let chars = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    chars.take(MAX_CONSENT_LEN).collect::<String>().trim().to_owned()
}

/// A lead that came in.
pub struct NewLead {
    /// The network.
    pub network: LeadNetwork,
    /// The network's id of it.
    pub lead_id: String,
    /// The form.
    pub form: String,
    /// What the person agreed to, if the network says it.
    pub consent: Option<String>,
    /// When the person sent the form, if the network says it.
    pub submitted_at: Option<Timestamp>,
    /// The number.
    pub content: LeadContent,
}

/// What a lead has of the number.
pub enum LeadContent {
    /// The number.
    Phone(PhoneNumber),
    /// No usable number.
    Invalid(LeadError),
    /// Nothing: the network has it.
    ToFetch,
    /// Nothing: it is a test.
    Test,
}

/// Stores leads of one network, and wakes the jobs that go on with them. Leads that are there already are left as they are.
///
/// # Errors
/// SERVICE_UNAVAILABLE if the database is away or its disk is full: nothing was stored.
pub async fn store(state: &Bonuses, platform: &Platform, new: Vec<NewLead>) -> Result<()> {
    let key = state.number_key(platform).await?;
    let work = platform.begin().await?;
    insert(state, platform, &work, key, new).await?;
    work.commit().await
}

/// Stores leads of one network in a unit of work.
pub async fn insert(
    state: &Bonuses,
    platform: &Platform,
    work: &Work,
    key: &NumberKey,
    new: Vec<NewLead>,
) -> Result<()> {
    let Some(network) = new.first().map(|lead| lead.network) else { return Ok(()) };
    let rows = new.into_iter().map(|lead| to_row(state, platform, key, lead)).collect();
    leads::insert_new(work, network, rows).await?;
    work.notify(&state.leads.fetch_notifier);
    work.notify(&state.leads.apply_notifier);
    Ok(())
}

fn to_row(state: &Bonuses, platform: &Platform, key: &NumberKey, lead: NewLead) -> Model {
    let now = platform.now();
    let NewLead { network, lead_id, form, consent, submitted_at, content } = lead;
    let is_known = state.leads.terms(network, &form).is_some();
    let known_as = |state| if is_known { state } else { LeadState::UnknownForm };
    let is_test = matches!(content, LeadContent::Test);
    // Erasure finds a lead by its number.
    let can_be_erased = matches!(content, LeadContent::Phone(_));
    if is_test {
        let prefix = network.prefix();
        tracing::info!("a test lead came from the form {prefix}:{form}");
    } else if !is_known {
        state.leads.log_unknown_form(platform, network, &form);
    }
    let row = Model {
        id: platform.new_id(),
        network,
        lead_id,
        form,
        state: LeadState::Test,
        campaign_id: None,
        sealed_phone: None,
        number_hash: None,
        consent: consent.filter(|_| can_be_erased),
        submitted_at: submitted_at.filter(|_| can_be_erased),
        received_at: now,
        next_attempt_at: None,
        attempts: 0,
        error: None,
        error_code: None,
        failed_at: None,
    };
    match content {
        LeadContent::Test => row,
        LeadContent::ToFetch => {
            Model { state: known_as(LeadState::Unfetched), next_attempt_at: Some(now), ..row }
        }
        LeadContent::Phone(phone) => {
            let row = with_phone(row, platform, key, &phone);
            Model { state: known_as(LeadState::Received), next_attempt_at: Some(now), ..row }
        }
        LeadContent::Invalid(error) => {
            let row = Model { state: known_as(LeadState::Rejected), ..row };
            with_error(row, error, now)
        }
    }
}

/// The row with a number.
pub fn with_phone(row: Model, platform: &Platform, key: &NumberKey, phone: &PhoneNumber) -> Model {
    let sealed = platform.vault.seal(&leads::aad(&row.id), phone.as_str().as_bytes());
    Model { sealed_phone: Some(sealed), number_hash: Some(key.hash(phone).to_vec()), ..row }
}

fn with_error(row: Model, error: LeadError, now: Timestamp) -> Model {
    Model {
        error: Some(error.message),
        error_code: Some(error.code.stored_name().to_owned()),
        failed_at: Some(now),
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_of_any_kind_is_kept() {
        assert_eq!(clean_consent("\tYes,\0 I do.\nReally.\r\n"), "Yes,  I do.\nReally.");
        assert_eq!(clean_consent(&"é".repeat(2_001)), "é".repeat(2_000));
    }
}
