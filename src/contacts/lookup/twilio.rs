//! Twilio's Lookup API, version 2: `GET /v2/PhoneNumbers/{number}`, with the kind of line.
//!
//! A number that does not exist is a good answer with `valid: false`.

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{BOUNDS, Finding, Lookup, Trouble, read_json};
use crate::platform::outbound::{Outbound, Reply};
use crate::platform::phone::{Facts, LineType, PhoneNumber, Reason, is_written_number};

/// The code for "no such resource", which some numbers get.
const NOT_FOUND: i64 = 20404;

/// Asks Twilio.
pub struct Twilio {
    /// The account's SID, or an API key's.
    pub account_sid: String,
    /// The token or secret that goes with it.
    pub auth_token: SecretString,
    /// Where the API is.
    pub base_url: Url,
}

#[async_trait]
impl Lookup for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    async fn look_up(&self, outbound: &Outbound, phone: &PhoneNumber) -> Result<Finding, Trouble> {
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::Lasting("TWILIO_BASE_URL has no path".into()))?
            .pop_if_empty()
            .extend(["v2", "PhoneNumbers", phone.as_str()]);
        let request = outbound
            .request(Method::GET, url)
            .query(&[("Fields", "line_type_intelligence")])
            .basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()));
        let reply = outbound
            .send(request, BOUNDS)
            .await
            .map_err(|trouble| Trouble::Passing(trouble.to_string()))?;
        read(&reply, phone)
    }
}

#[derive(Deserialize)]
struct Found {
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
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    code: i64,
}

fn read(reply: &Reply, phone: &PhoneNumber) -> Result<Finding, Trouble> {
    if !reply.status.is_success() {
        let code = serde_json::from_slice::<Refused>(&reply.body).ok().map(|refused| refused.code);
        let said = format!("status {}, error code {code:?}", reply.status);
        return match reply.status {
            StatusCode::NOT_FOUND if code == Some(NOT_FOUND) => {
                Ok(Finding::Invalid(Reason::NotInUse))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Trouble::Lasting(said)),
            _ => Err(Trouble::Passing(said)),
        };
    }
    let found: Found = read_json(&reply.body)?;
    if found.phone_number != phone.as_str() {
        return Err(Trouble::Passing("it answered for another number".into()));
    }
    if !found.valid {
        // Its names are ours, but for INVALID_BUT_POSSIBLE.
        let reasons = found.validation_errors.unwrap_or_default();
        let reason = reasons.first().and_then(|name| Reason::of(name));
        return Ok(Finding::Invalid(reason.unwrap_or(Reason::NotInUse)));
    }
    let metadata = phone.facts();
    let kind = found.line_type_intelligence.and_then(|line| line.kind);
    let national = found.national_format.filter(|text| is_written_number(text));
    let country = found
        .country_code
        .filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()));
    Ok(Finding::Valid(Facts {
        valid: true,
        kind: kind.map_or(metadata.kind, |kind| line_type(&kind)),
        country_code: country.unwrap_or(metadata.country_code),
        national: national.unwrap_or(metadata.national),
        ..metadata
    }))
}

fn line_type(kind: &str) -> LineType {
    match kind {
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
