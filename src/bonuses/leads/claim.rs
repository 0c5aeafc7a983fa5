//! Claim of a bonus at a link that somebody shared: anybody may name any number, so the answer says nothing about it.
//!
//! A claim is stored and applied like a lead: every number takes the same road until after the answer, so that neither
//! the answer nor its time tells whether the number is known. Nor does a limit: claims beyond that of a number are
//! acknowledged and dropped.

use std::net::IpAddr;

use data_encoding::HEXLOWER;

use super::phone::parse_signup_phone;
use super::state::Leads;
use super::store::{LeadContent, MAX_CONSENT_LEN, NewLead, insert};
use crate::bonuses::Bonuses;
use crate::bonuses::campaign::{CampaignTerms, ensure_terms};
use crate::bonuses::entity::campaigns;
use crate::config::leads::LeadNetwork;
use crate::error::{CollectErrors, ErrorCode, ForField, Result, UserError};
use crate::platform::Platform;
use crate::platform::rate_limiter::rate_limit_network;
use crate::platform::text;

/// A claim to make.
pub struct NewClaim<'a> {
    /// The id of the link.
    pub link: &'a str,
    /// The number, as the person wrote it.
    pub phone: &'a str,
    /// The text that the person agreed to.
    pub consent: &'a str,
    /// The person's address.
    pub address: IpAddr,
}

/// A claim that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The campaign.
    pub campaign: String,
    /// The coins that its number gets.
    pub coins: i32,
}

/// What a link gives.
pub struct ClaimLink<'a> {
    /// The campaign.
    pub campaign: &'a str,
    /// The coins of each number.
    pub coins: i32,
    /// The name of this service.
    pub service: &'a str,
}

/// The link with this id. None: no setting names it.
pub fn find_claim_link<'a>(state: &'a Bonuses, link: &str) -> Option<ClaimLink<'a>> {
    let terms = state.leads.terms(LeadNetwork::ClaimLink, link)?;
    let service = state.messages.templates.service_name();
    Some(ClaimLink { campaign: &terms.name, coins: terms.coins, service })
}

/// Stores a claim. Its bonus is given by a job: at once if the number is verified, else when somebody verifies it.
///
/// # Errors
/// NOT_FOUND at `link`; INVALID_PHONE_NUMBER at `phone`; BAD_USER_INPUT at `consent`; CONFLICT at `link` if the campaign
/// has ended; RATE_LIMITED for an address.
pub async fn claim_bonus(state: &Bonuses, platform: &Platform, new: NewClaim<'_>) -> Result<Claim> {
    let terms = state.leads.terms(LeadNetwork::ClaimLink, new.link);
    let terms = terms.ok_or_else(|| UserError::new(ErrorCode::NotFound, "There is no such link."));
    let (terms, phone, consent) = (
        terms.for_field("link"),
        parse_signup_phone(new.phone, state.default_region.as_ref()).for_field("phone"),
        text::parse_multiline(new.consent, MAX_CONSENT_LEN).for_field("consent"),
    )
        .collect_errors()?;
    ensure_running(platform, terms).await?;
    let key = state.number_key(platform).await?;
    let work = platform.begin().await?;
    let network = rate_limit_network(new.address).to_string();
    let number = phone.key();
    let Leads { claims_per_number, claims_per_address, .. } = &state.leads;
    claims_per_address.acquire(&work, platform, network.as_bytes()).await?;
    let acquired = claims_per_number.acquire(&work, platform, number.as_str().as_bytes()).await;
    let is_kept = match acquired {
        // An error would tell that others have claimed for this number.
        Err(error) if error.code() == ErrorCode::RateLimited => false,
        acquired => acquired.map(|()| true)?,
    };
    let lead = NewLead {
        network: LeadNetwork::ClaimLink,
        // Each claim is stored: to look for an earlier one would take another time.
        lead_id: HEXLOWER.encode(&platform.random::<16>()),
        form: new.link.to_owned(),
        consent: Some(consent),
        submitted_at: Some(platform.now()),
        content: LeadContent::Phone(phone),
    };
    let savepoint = work.savepoint().await?;
    insert(state, platform, &savepoint, key, vec![lead]).await?;
    match is_kept {
        true => savepoint.release().await?,
        false => savepoint.rollback().await?,
    }
    work.commit().await?;
    Ok(Claim { campaign: terms.name.clone(), coins: terms.coins })
}

/// Checks that the campaign gives coins. One that has no number yet does not exist yet.
async fn ensure_running(platform: &Platform, terms: &CampaignTerms) -> Result<()> {
    let campaign = campaigns::find_by_name(platform.database.reads(), &terms.name).await?;
    let Some(campaign) = campaign else { return Ok(()) };
    match ensure_terms(&campaign, terms) {
        Err(error) if error.code() == ErrorCode::Conflict => {
            if campaign.ended_at.is_none() {
                tracing::warn!("LEAD_CAMPAIGNS: {}", error.describe());
            }
            let message = "The campaign of this link has ended.";
            Err(UserError::new(ErrorCode::Conflict, message).for_field("link").into())
        }
        checked => checked,
    }
}
