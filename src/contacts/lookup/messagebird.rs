//! Phone lookup by MessageBird's Lookup API: `GET /lookup/{number}`.
//!
//! Errors are recognised by `errors[].code`, because the HTTP status of the same code differs between accounts.

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::provider::{LookupError, LookupProvider, LookupResult, REQUEST_POLICY, parse_json};
use crate::platform::outbound::{Outbound, Request, Response};
use crate::platform::phone::{
    InvalidPhoneReason, LineType, PhoneInfo, PhoneNumber, is_formatted_number,
};

/// MessageBird as lookup provider.
pub struct MessageBirdLookup {
    /// Access key of the account.
    pub access_key: SecretString,
    /// Base URL of the API.
    pub base_url: Url,
}

#[async_trait]
impl LookupProvider for MessageBirdLookup {
    fn name(&self) -> &'static str {
        "messagebird"
    }

    async fn look_up(
        &self,
        outbound: &Outbound,
        phone: &PhoneNumber,
    ) -> Result<LookupResult, LookupError> {
        let permanent = |error: &dyn std::fmt::Display| LookupError::Permanent(error.to_string());
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| permanent(&"MESSAGEBIRD_BASE_URL has no path"))?
            .pop_if_empty()
            .extend(["lookup", phone.digits()]);
        let key = HeaderValue::try_from(format!("AccessKey {}", self.access_key.expose_secret()))
            .map_err(|error| permanent(&error))?;
        let request = Request::new(Method::GET, url)
            .secret_header(AUTHORIZATION, key)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let response = outbound
            .call(request, &REQUEST_POLICY)
            .await
            .map_err(|error| LookupError::Transient(error.to_string()))?;
        parse_response(&response, phone)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LookupResponse {
    country_code: String,
    country_prefix: i32,
    phone_number: u64,
    #[serde(rename = "type")]
    line_type: String,
    formats: Formats,
}

#[derive(Deserialize)]
struct Formats {
    international: String,
    national: String,
    rfc3966: String,
}

#[derive(Deserialize)]
struct ErrorResponse {
    errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
struct ErrorItem {
    code: i64,
    parameter: Option<String>,
}

impl ErrorItem {
    fn is_about_number(&self) -> bool {
        let names_number = || {
            let parameter = self.parameter.as_deref().unwrap_or_default().to_lowercase();
            ["phone", "msisdn", "recipient"].iter().any(|name| parameter.contains(name))
        };
        self.code == 21 || (matches!(self.code, 9 | 10 | 20) && names_number())
    }
}

fn parse_response(response: &Response, phone: &PhoneNumber) -> Result<LookupResult, LookupError> {
    if let Ok(ErrorResponse { errors }) = serde_json::from_slice(&response.body) {
        let codes: Vec<i64> = errors.iter().map(|error| error.code).collect();
        let summary = format!("status {}, error codes {codes:?}", response.status);
        return match () {
            () if codes.contains(&2) || codes.contains(&25) => Err(LookupError::Permanent(summary)),
            () if errors.iter().any(ErrorItem::is_about_number) => {
                Ok(LookupResult::Invalid(InvalidPhoneReason::NotInUse))
            }
            () => Err(LookupError::Transient(summary)),
        };
    }
    if !response.status.is_success() {
        return Err(LookupError::Transient(format!("status {}", response.status)));
    }
    let lookup: LookupResponse = parse_json(&response.body)?;
    if lookup.phone_number.to_string() != phone.digits() {
        return Err(LookupError::Transient("it answered for another number".into()));
    }
    let Formats { international, national, rfc3966 } = &lookup.formats;
    let is_plausible = lookup.country_code.len() == 2
        && lookup.country_code.bytes().all(|b| b.is_ascii_uppercase())
        && phone.digits().starts_with(&lookup.country_prefix.to_string())
        && is_formatted_number(international)
        && is_formatted_number(national)
        && rfc3966.strip_prefix("tel:").is_some_and(is_formatted_number);
    if !is_plausible {
        return Err(LookupError::Transient("an answer that cannot be right".into()));
    }
    Ok(LookupResult::Valid(PhoneInfo {
        is_valid: true,
        line_type: parse_line_type(&lookup.line_type),
        country_code: lookup.country_code,
        country_prefix: lookup.country_prefix,
        international: lookup.formats.international,
        national: lookup.formats.national,
        rfc3966: lookup.formats.rfc3966,
    }))
}

fn parse_line_type(name: &str) -> LineType {
    match name {
        "fixed line" => LineType::FixedLine,
        "mobile" => LineType::Mobile,
        "fixed line or mobile" => LineType::FixedLineOrMobile,
        "toll free" => LineType::TollFree,
        "premium rate" => LineType::PremiumRate,
        "shared cost" => LineType::SharedCost,
        "voip" => LineType::Voip,
        "personal number" => LineType::PersonalNumber,
        "pager" => LineType::Pager,
        "universal access number" => LineType::UniversalAccessNumber,
        "voice mail" => LineType::VoiceMail,
        _ => LineType::Unknown,
    }
}
