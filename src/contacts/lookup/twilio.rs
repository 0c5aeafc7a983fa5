//! Phone lookup by Twilio's Lookup API, version 2: `GET /v2/PhoneNumbers/{number}`, with the type of line.
//!
//! A number that does not exist is a success response with `valid: false`.

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::provider::{LookupError, LookupProvider, LookupResult, REQUEST_POLICY, parse_json};
use crate::platform::outbound::{Outbound, Request, Response};
use crate::platform::phone::{
    InvalidPhoneReason, LineType, PhoneInfo, PhoneNumber, is_formatted_number,
};

/// Twilio's error code for a resource that does not exist. Some invalid numbers get it.
const NOT_FOUND_CODE: i64 = 20404;

/// Twilio as lookup provider.
pub struct TwilioLookup {
    /// SID of the account or of an API key.
    pub account_sid: String,
    /// Its token or secret.
    pub auth_token: SecretString,
    /// Base URL of the API.
    pub base_url: Url,
}

#[async_trait]
impl LookupProvider for TwilioLookup {
    fn name(&self) -> &'static str {
        "twilio"
    }

    async fn look_up(
        &self,
        outbound: &Outbound,
        phone: &PhoneNumber,
    ) -> Result<LookupResult, LookupError> {
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| LookupError::Permanent("TWILIO_BASE_URL has no path".into()))?
            .pop_if_empty()
            .extend(["v2", "PhoneNumbers", phone.as_str()]);
        let request = Request::new(Method::GET, url)
            .query(&[("Fields", "line_type_intelligence")])
            .basic_auth(&self.account_sid, &self.auth_token);
        let response = outbound
            .call(request, &REQUEST_POLICY)
            .await
            .map_err(|error| LookupError::Transient(error.to_string()))?;
        parse_response(&response, phone)
    }
}

#[derive(Deserialize)]
struct LookupResponse {
    valid: bool,
    phone_number: String,
    country_code: Option<String>,
    national_format: Option<String>,
    validation_errors: Option<Vec<String>>,
    line_type_intelligence: Option<LineTypeIntelligence>,
}

#[derive(Deserialize)]
struct LineTypeIntelligence {
    #[serde(rename = "type")]
    line_type: Option<String>,
}

#[derive(Deserialize)]
struct ErrorResponse {
    code: i64,
}

fn parse_response(response: &Response, phone: &PhoneNumber) -> Result<LookupResult, LookupError> {
    if !response.status.is_success() {
        let code =
            serde_json::from_slice::<ErrorResponse>(&response.body).ok().map(|error| error.code);
        let summary = format!("status {}, error code {code:?}", response.status);
        return match response.status {
            StatusCode::NOT_FOUND if code == Some(NOT_FOUND_CODE) => {
                Ok(LookupResult::Invalid(InvalidPhoneReason::NotInUse))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(LookupError::Permanent(summary))
            }
            _ => Err(LookupError::Transient(summary)),
        };
    }
    let lookup: LookupResponse = parse_json(&response.body)?;
    if lookup.phone_number != phone.as_str() {
        return Err(LookupError::Transient("it answered for another number".into()));
    }
    if !lookup.valid {
        // Twilio's names are the same as ours, except INVALID_BUT_POSSIBLE.
        let reasons = lookup.validation_errors.unwrap_or_default();
        let reason = reasons.first().and_then(|name| InvalidPhoneReason::from_name(name));
        return Ok(LookupResult::Invalid(reason.unwrap_or(InvalidPhoneReason::NotInUse)));
    }
    let metadata = phone.info();
    let line_type = lookup.line_type_intelligence.and_then(|line| line.line_type);
    let national = lookup.national_format.filter(|text| is_formatted_number(text));
    let country = lookup
        .country_code
        .filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()));
    Ok(LookupResult::Valid(PhoneInfo {
        is_valid: true,
        line_type: line_type.map_or(metadata.line_type, |name| parse_line_type(&name)),
        country_code: country.unwrap_or(metadata.country_code),
        national: national.unwrap_or(metadata.national),
        ..metadata
    }))
}

fn parse_line_type(name: &str) -> LineType {
    match name {
        "mobile" => LineType::Mobile,
        "landline" => LineType::FixedLine,
        "fixedVoip" | "nonFixedVoip" => LineType::Voip,
        "personal" => LineType::PersonalNumber,
        "tollFree" => LineType::TollFree,
        "premium" => LineType::PremiumRate,
        "sharedCost" => LineType::SharedCost,
        "uan" => LineType::UniversalAccessNumber,
        "voicemail" => LineType::VoiceMail,
        "pager" => LineType::Pager,
        _ => LineType::Unknown,
    }
}
