//! Webhook of Google Ads lead forms: a lead in JSON, with the operator's key in it.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::network_id::NetworkId;
use super::phone::{no_phone_error, parse_lead_phone};
use super::rejection::WebhookRejection;
use super::signature::is_secret;
use super::store::{LeadContent, NewLead, clean_consent, store};
use crate::bonuses::Bonuses;
use crate::config::leads::LeadNetwork;
use crate::platform::phone::Region;
use crate::platform::{Platform, json};

/// Stores the lead of a webhook.
pub async fn receive_google_ads_lead(
    state: &Bonuses,
    platform: &Platform,
    body: &[u8],
) -> Result<(), WebhookRejection> {
    let key = state.leads.google_ads_key.as_ref().ok_or(WebhookRejection::NotConfigured)?;
    // Alone, so that a body without the key is told nothing of the other fields.
    let shown: Option<Key> = json::from_slice(body).ok();
    if !shown.is_some_and(|shown| is_secret(&shown.google_key, key)) {
        return Err(WebhookRejection::Forged);
    }
    let webhook: Webhook =
        json::from_slice(body).map_err(|error| WebhookRejection::unreadable(error.to_string()))?;
    let lead = to_lead(webhook, state.default_region.as_ref());
    Ok(store(state, platform, vec![lead]).await?)
}

#[derive(Deserialize)]
struct Key {
    google_key: String,
}

#[derive(Deserialize)]
struct Webhook {
    lead_id: NetworkId,
    form_id: NetworkId,
    #[serde(default)]
    is_test: bool,
    #[serde(default)]
    user_column_data: Vec<Column>,
    lead_submit_time: Option<String>,
}

#[derive(Deserialize)]
struct Column {
    #[serde(default)]
    column_id: String,
    #[serde(default)]
    string_value: String,
}

fn to_lead(webhook: Webhook, region: Option<&Region>) -> NewLead {
    let columns = &webhook.user_column_data;
    let find = |name: &str| columns.iter().find(|column| column.column_id == name);
    let phone = find("PHONE_NUMBER").or_else(|| find("WORK_PHONE"));
    let number = match phone {
        _ if webhook.is_test => LeadContent::Test,
        None => LeadContent::Invalid(no_phone_error()),
        Some(phone) => parse_lead_phone(&phone.string_value, region)
            .map_or_else(LeadContent::Invalid, LeadContent::Phone),
    };
    let consent = columns.iter().find(|column| column.column_id.to_lowercase().contains("consent"));
    let consent = consent.map(|column| format!("{}: {}", column.column_id, column.string_value));
    let submitted_at = webhook.lead_submit_time.as_deref();
    let submitted_at = submitted_at.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    NewLead {
        network: LeadNetwork::GoogleAds,
        lead_id: webhook.lead_id.0,
        form: webhook.form_id.0,
        consent: consent.map(|text| clean_consent(&text)),
        submitted_at: submitted_at
            .map(|at| at.with_timezone(&Utc))
            .filter(|at| (0..=0xffff_ffff).contains(&at.timestamp())),
        content: number,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lead(body: &Value) -> NewLead {
        to_lead(serde_json::from_value(body.clone()).expect("valid"), None)
    }

    #[test]
    fn a_lead_is_read_with_unknown_fields_and_large_numbers() {
        let column = |id: &str, value: &str| json!({ "column_id": id, "string_value": value });
        let body = json!({
            "lead_id": "TeSter-123", "form_id": 40_000_000_000_u64, "api_version": "1.0",
            "campaign_id": 123, "gcl_id": "x", "lead_submit_time": "2026-01-02T03:04:05Z",
            "user_column_data": [
                column("FULL_NAME", "Joe Example"),
                column("WORK_PHONE", "+31687654321"),
                column("PHONE_NUMBER", "1-650-555-0123"),
                column("sms_consent_box", "yes"),
            ],
        });
        let read = lead(&body);
        assert_eq!((read.lead_id.as_str(), read.form.as_str()), ("TeSter-123", "40000000000"));
        assert_eq!(read.consent.as_deref(), Some("sms_consent_box: yes"));
        assert!(read.submitted_at.is_some());
        assert!(
            matches!(read.content, LeadContent::Phone(phone) if phone.as_str() == "+16505550123")
        );
        let mut test = body;
        test["is_test"] = json!(true);
        assert!(matches!(lead(&test).content, LeadContent::Test));
        let without = lead(&json!({ "lead_id": 1, "form_id": "2" }));
        assert!(matches!(without.content, LeadContent::Invalid(_)));
    }
}
