//! MessageBird's Lookup API: `GET /lookup/{number}`.
//!
//! What a refusal means is told by `errors[].code`: the HTTP status of the same code differs between
//! accounts.

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{BOUNDS, Finding, Lookup, Trouble, read_json};
use crate::platform::outbound::{Outbound, Reply};
use crate::platform::phone::{Facts, LineType, PhoneNumber, Reason, is_written_number};

/// Asks MessageBird.
pub struct MessageBird {
    /// The account's access key.
    pub access_key: SecretString,
    /// Where the API is.
    pub base_url: Url,
}

#[async_trait]
impl Lookup for MessageBird {
    fn name(&self) -> &'static str {
        "messagebird"
    }

    async fn look_up(&self, outbound: &Outbound, phone: &PhoneNumber) -> Result<Finding, Trouble> {
        let lasting = |error: &dyn std::fmt::Display| Trouble::Lasting(error.to_string());
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| lasting(&"MESSAGEBIRD_BASE_URL has no path"))?
            .pop_if_empty()
            .extend(["lookup", phone.digits()]);
        let mut key =
            HeaderValue::try_from(format!("AccessKey {}", self.access_key.expose_secret()))
                .map_err(|error| lasting(&error))?;
        key.set_sensitive(true);
        let request = outbound
            .request(Method::GET, url)
            .header(AUTHORIZATION, key)
            .header(ACCEPT, "application/json");
        let reply = outbound
            .send(request, BOUNDS)
            .await
            .map_err(|trouble| Trouble::Passing(trouble.to_string()))?;
        read(&reply, phone)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    country_code: String,
    country_prefix: i32,
    phone_number: u64,
    #[serde(rename = "type")]
    kind: String,
    formats: Formats,
}

#[derive(Deserialize)]
struct Formats {
    international: String,
    national: String,
    rfc3966: String,
}

#[derive(Deserialize)]
struct Refused {
    errors: Vec<RefusedFor>,
}

#[derive(Deserialize)]
struct RefusedFor {
    code: i64,
    parameter: Option<String>,
}

impl RefusedFor {
    fn is_about_the_number(&self) -> bool {
        let names_it = || {
            let parameter = self.parameter.as_deref().unwrap_or_default().to_lowercase();
            ["phone", "msisdn", "recipient"].iter().any(|name| parameter.contains(name))
        };
        self.code == 21 || (matches!(self.code, 9 | 10 | 20) && names_it())
    }
}

fn read(reply: &Reply, phone: &PhoneNumber) -> Result<Finding, Trouble> {
    if let Ok(Refused { errors }) = serde_json::from_slice(&reply.body) {
        let codes: Vec<i64> = errors.iter().map(|error| error.code).collect();
        let said = format!("status {}, error codes {codes:?}", reply.status);
        return match () {
            () if codes.contains(&2) || codes.contains(&25) => Err(Trouble::Lasting(said)),
            () if errors.iter().any(RefusedFor::is_about_the_number) => {
                Ok(Finding::Invalid(Reason::NotInUse))
            }
            () => Err(Trouble::Passing(said)),
        };
    }
    if !reply.status.is_success() {
        return Err(Trouble::Passing(format!("status {}", reply.status)));
    }
    let found: Found = read_json(&reply.body)?;
    if found.phone_number.to_string() != phone.digits() {
        return Err(Trouble::Passing("it answered for another number".into()));
    }
    let Formats { international, national, rfc3966 } = &found.formats;
    let is_plausible = found.country_code.len() == 2
        && found.country_code.bytes().all(|b| b.is_ascii_uppercase())
        && phone.digits().starts_with(&found.country_prefix.to_string())
        && is_written_number(international)
        && is_written_number(national)
        && rfc3966.strip_prefix("tel:").is_some_and(is_written_number);
    if !is_plausible {
        return Err(Trouble::Passing("an answer that cannot be right".into()));
    }
    Ok(Finding::Valid(Facts {
        valid: true,
        kind: line_type(&found.kind),
        country_code: found.country_code,
        country_prefix: found.country_prefix,
        international: found.formats.international,
        national: found.formats.national,
        rfc3966: found.formats.rfc3966,
    }))
}

fn line_type(kind: &str) -> LineType {
    match kind {
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
