//! Webhook of Meta's lead ads: the handshake, and the ids of new leads. A webhook has no personal data; the lead itself
//! is fetched later.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use super::network_id::NetworkId;
use super::rejection::WebhookRejection;
use super::signature::{is_secret, is_signed};
use super::store::{LeadContent, NewLead, store};
use crate::bonuses::Bonuses;
use crate::config::leads::LeadNetwork;
use crate::platform::clock::Timestamp;
use crate::platform::{Platform, json};

const MAX_CHALLENGE_LEN: usize = 200;

/// Meta's request when a webhook is set up.
#[derive(Deserialize)]
pub struct Handshake {
    #[serde(rename = "hub.mode")]
    mode: String,
    #[serde(rename = "hub.verify_token")]
    verify_token: String,
    #[serde(rename = "hub.challenge")]
    challenge: String,
}

/// Answers the handshake with its challenge.
///
/// # Errors
/// Forged if it does not show META_VERIFY_TOKEN.
pub fn answer_handshake(
    state: &Bonuses,
    handshake: Option<Handshake>,
) -> Result<String, WebhookRejection> {
    let meta = state.leads.meta.as_ref().ok_or(WebhookRejection::NotConfigured)?;
    let handshake = handshake.ok_or(WebhookRejection::Forged)?;
    let is_valid = handshake.mode == "subscribe"
        && handshake.challenge.len() <= MAX_CHALLENGE_LEN
        && is_secret(&handshake.verify_token, &meta.verify_token);
    if is_valid { Ok(handshake.challenge) } else { Err(WebhookRejection::Forged) }
}

/// Stores the leads that a webhook names. Other things that Meta reports are ignored.
pub async fn receive_meta_leads(
    state: &Bonuses,
    platform: &Platform,
    signature: Option<&[u8]>,
    body: &[u8],
) -> Result<(), WebhookRejection> {
    let meta = state.leads.meta.as_ref().ok_or(WebhookRejection::NotConfigured)?;
    if !is_signed(signature, &meta.app_secret, body) {
        return Err(WebhookRejection::Forged);
    }
    let leads = parse(body).map_err(|error| WebhookRejection::unreadable(error.to_string()))?;
    Ok(store(state, platform, leads).await?)
}

#[derive(Deserialize)]
struct Webhook {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    field: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct LeadValue {
    leadgen_id: NetworkId,
    form_id: NetworkId,
    created_time: Option<i64>,
}

fn parse(body: &[u8]) -> serde_json::Result<Vec<NewLead>> {
    let webhook: Webhook = json::from_slice(body)?;
    let changes = webhook.entry.into_iter().flat_map(|Entry { id, changes }| {
        let is_test = id == "0" || id == 0;
        changes.into_iter().map(move |change| (is_test, change))
    });
    let leads = changes.filter(|(_, change)| change.field == "leadgen");
    let leads = leads.filter_map(|(is_test, change)| {
        let value = serde_json::from_value(change.value);
        value
            .inspect_err(|error| tracing::warn!("a lead of Meta cannot be read: {error}"))
            .ok()
            .map(|value: LeadValue| to_lead(value, is_test))
    });
    Ok(leads.collect())
}

fn to_lead(value: LeadValue, is_test: bool) -> NewLead {
    let LeadValue { leadgen_id: NetworkId(lead_id), form_id: NetworkId(form), created_time } =
        value;
    // The button "Test" sends ids of fours.
    let is_test = is_test || (lead_id.len() >= 12 && lead_id.bytes().all(|digit| digit == b'4'));
    NewLead {
        network: LeadNetwork::Meta,
        lead_id,
        form,
        consent: None,
        submitted_at: created_time.and_then(from_unix),
        content: if is_test { LeadContent::Test } else { LeadContent::ToFetch },
    }
}

fn from_unix(seconds: i64) -> Option<Timestamp> {
    // Others are garbage, of which the database may not take all.
    DateTime::from_timestamp_secs(seconds).filter(|_| (0..=0xffff_ffff).contains(&seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn leads(body: &Value) -> Vec<(String, String, bool)> {
        let leads = parse(body.to_string().as_bytes()).expect("valid");
        let show =
            |lead: NewLead| (lead.lead_id, lead.form, matches!(lead.content, LeadContent::Test));
        leads.into_iter().map(show).collect()
    }

    #[test]
    fn every_lead_of_every_entry_is_found() {
        let change = |lead: Value| {
            let value = json!({ "leadgen_id": lead, "form_id": "7", "page_id": 3 });
            json!({ "field": "leadgen", "value": value })
        };
        let body = json!({ "object": "page", "entry": [
            { "id": 1, "time": 1_588_890_044, "changes": [change(json!(11)), change(json!("12"))] },
            { "id": "2", "changes": [
                { "field": "feed", "value": { "item": "post" } },
                { "field": "leadgen", "value": { "leadgen_id": null } },
                change(json!(13)),
            ] },
            { "id": "0", "changes": [change(json!(14))] },
            { "id": "5", "changes": [change(json!("444444444444"))] },
            { "id": "6" },
        ] });
        let lead = |id: &str, is_test| (id.to_owned(), "7".to_owned(), is_test);
        let expected = [
            lead("11", false),
            lead("12", false),
            lead("13", false),
            lead("14", true),
            lead("444444444444", true),
        ];
        assert_eq!(leads(&body), expected);
        assert!(leads(&json!({ "object": "user" })).is_empty());
        assert!(parse(b"hub.mode=subscribe").is_err());
    }
}
