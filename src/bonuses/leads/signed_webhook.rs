//! Webhook for leads of any other network: a lead in JSON, signed by the sender.
//!
//! The signature has no time, as a replay changes nothing: the id of a lead is stored once, whatever its form.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::network_id::NetworkId;
use super::phone::parse_lead_phone;
use super::rejection::WebhookRejection;
use super::signature::is_signed;
use super::store::{LeadContent, MAX_CONSENT_LEN, NewLead, store};
use crate::bonuses::Bonuses;
use crate::config::leads::LeadNetwork;
use crate::platform::{Platform, json, text};

/// Stores the lead of a webhook.
pub async fn receive_signed_lead(
    state: &Bonuses,
    platform: &Platform,
    form: &str,
    signature: Option<&[u8]>,
    body: &[u8],
) -> Result<(), WebhookRejection> {
    let secret = state.leads.webhook_secret.as_ref().ok_or(WebhookRejection::NotConfigured)?;
    if !is_signed(signature, secret, body) {
        return Err(WebhookRejection::Forged);
    }
    let unreadable = |problem: String| WebhookRejection::Unreadable(problem);
    let form =
        NetworkId::parse(form).ok_or_else(|| unreadable("the form has no valid id".into()))?;
    let lead: Lead = json::from_slice(body).map_err(|error| unreadable(error.to_string()))?;
    let consent = text::parse_multiline(&lead.consent, MAX_CONSENT_LEN)
        .map_err(|error| unreadable(format!("consent: {}", error.message)))?;
    let number = match lead.test {
        true => LeadContent::Test,
        false => parse_lead_phone(&lead.phone, state.default_region.as_ref())
            .map_or_else(LeadContent::Invalid, LeadContent::Phone),
    };
    let new = NewLead {
        network: LeadNetwork::SignedWebhook,
        lead_id: lead.id.0,
        form: form.0,
        consent: Some(consent),
        // Other times are garbage, of which the database may not take all.
        submitted_at: lead.submitted_at.filter(|at| (0..=0xffff_ffff).contains(&at.timestamp())),
        content: number,
    };
    Ok(store(state, platform, vec![new]).await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lead {
    id: NetworkId,
    phone: String,
    consent: String,
    submitted_at: Option<DateTime<Utc>>,
    #[serde(default)]
    test: bool,
}
