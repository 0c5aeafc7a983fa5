//! A lead as Meta's Graph API answers it, and its errors.

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde::Deserialize;

use super::phone::{no_phone_error, parse_lead_phone};
use super::store::{LeadContent, clean_consent};
use crate::bonuses::entity::leads::LeadError;
use crate::error::ErrorCode;
use crate::platform::clock::Timestamp;
use crate::platform::outbound::{OutboundError, Response};
use crate::platform::phone::Region;

/// "2015-02-28T08:49:14+0000".
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%z";
/// How the values of Meta's tool for test leads begin.
const TEST_PREFIX: &str = "<test lead";

/// A lead that was fetched.
pub struct FetchedLead {
    /// The number, or that it is a test.
    pub content: LeadContent,
    /// The answer to a question about consent, if the form has one.
    pub consent: Option<String>,
    /// When the person sent the form.
    pub submitted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Lead {
    created_time: Option<String>,
    field_data: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: GraphError,
}

#[derive(Deserialize)]
struct GraphError {
    code: i64,
}

/// Parses a response.
///
/// # Errors
/// Why the lead was not fetched, which may be over at the next attempt.
pub fn parse_response(
    response: &Response,
    region: Option<&Region>,
) -> Result<FetchedLead, LeadError> {
    if !response.status.is_success() {
        return Err(parse_error(response));
    }
    let lead: Lead = serde_json::from_slice(&response.body).map_err(|_| {
        LeadError::new(ErrorCode::UpstreamUnavailable, "Meta's answer cannot be read.")
    })?;
    let created_time = lead.created_time.as_deref();
    let submitted_at =
        created_time.and_then(|text| DateTime::parse_from_str(text, TIME_FORMAT).ok());
    let consent = lead.field_data.iter().find(|field| field.name.contains("consent"));
    let consent = consent.map(|field| format!("{}: {}", field.name, field.values.join(", ")));
    Ok(FetchedLead {
        content: content(&lead.field_data, region),
        consent: consent.map(|text| clean_consent(&text)),
        submitted_at: submitted_at.map(|at| at.with_timezone(&Utc)),
    })
}

fn content(fields: &[Field], region: Option<&Region>) -> LeadContent {
    let named = |is_phone: fn(&str) -> bool| fields.iter().find(|field| is_phone(&field.name));
    // The standard question, else one of the form's own.
    let field =
        named(|name| name == "phone_number").or_else(|| named(|name| name.contains("phone")));
    let value = field.and_then(|field| field.values.first());
    match value.map(String::as_str) {
        None => LeadContent::Invalid(no_phone_error()),
        Some(value) if value.starts_with(TEST_PREFIX) => LeadContent::Test,
        Some(value) => {
            parse_lead_phone(value, region).map_or_else(LeadContent::Invalid, LeadContent::Phone)
        }
    }
}

/// The error of a response. Meta's text is not kept, as it could hold personal data.
fn parse_error(response: &Response) -> LeadError {
    let graph_code =
        serde_json::from_slice::<ErrorResponse>(&response.body).ok().map(|body| body.error.code);
    let (code, message) = match (graph_code, response.status) {
        (Some(190 | 102), _) => {
            (ErrorCode::NeedsReauth, "Meta no longer accepts META_PAGE_TOKEN. Make a new token.")
        }
        (Some(10 | 200..=299), _) => (
            ErrorCode::Forbidden,
            "META_PAGE_TOKEN may not read leads. It needs leads_retrieval and access to the page.",
        ),
        (Some(4 | 17 | 32 | 613 | 80_000..=80_014), _) | (_, StatusCode::TOO_MANY_REQUESTS) => {
            (ErrorCode::RateLimited, "Meta limits how many leads may be read.")
        }
        (Some(100), _) | (None, StatusCode::NOT_FOUND) => (
            ErrorCode::NotFound,
            "Meta does not show the lead: it was deleted, or META_PAGE_TOKEN is of another page.",
        ),
        _ => (ErrorCode::UpstreamUnavailable, "Meta answered with an error."),
    };
    let status = response.status.as_u16();
    let detail = match graph_code {
        Some(graph_code) => format!("status {status}, code {graph_code}"),
        None => format!("status {status}"),
    };
    LeadError::new(code, format!("{message} ({detail})"))
}

impl From<OutboundError> for LeadError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Timeout => {
                Self::new(ErrorCode::UpstreamTimeout, "Meta did not answer in time.")
            }
            _ => Self::new(ErrorCode::UpstreamUnavailable, "Meta was not reached."),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    fn parse(status: u16, body: &Value) -> Result<FetchedLead, LeadError> {
        let status = StatusCode::from_u16(status).expect("a status");
        let response =
            Response { status, headers: HeaderMap::new(), body: body.to_string().into_bytes() };
        parse_response(&response, None)
    }

    fn fields(fields: &[(&str, &str)]) -> Value {
        let field = |(name, value): &(&str, &str)| json!({ "name": name, "values": [value] });
        let fields: Vec<Value> = fields.iter().map(field).collect();
        json!({ "created_time": "2015-02-28T08:49:14+0000", "id": "1", "field_data": fields })
    }

    #[test]
    fn the_number_and_the_consent_are_found_among_the_fields() {
        let lead = fields(&[
            ("work_phone", "+31687654321"),
            ("phone_number", "+31612345678"),
            ("sms_consent", "I agree"),
        ]);
        let lead = parse(200, &lead).expect("valid");
        assert!(
            matches!(lead.content, LeadContent::Phone(phone) if phone.as_str() == "+31612345678")
        );
        assert_eq!(lead.consent.as_deref(), Some("sms_consent: I agree"));
        assert_eq!(lead.submitted_at.expect("a time").to_rfc3339(), "2015-02-28T08:49:14+00:00");
        let own_question = parse(200, &fields(&[("your_phone?", "+31612345678")])).expect("valid");
        assert!(matches!(own_question.content, LeadContent::Phone(_)));
        for without in [fields(&[("full_name", "Joe")]), fields(&[("phone_number", "12")])] {
            let lead = parse(200, &without).expect("valid");
            assert!(matches!(lead.content, LeadContent::Invalid(_)));
        }
        let test = fields(&[("phone_number", "<test lead: dummy data for phone_number>")]);
        assert!(matches!(parse(200, &test).expect("valid").content, LeadContent::Test));
    }

    #[test]
    fn errors_say_what_to_do() {
        for (status, graph_code, expected) in [
            (400, 190, ErrorCode::NeedsReauth),
            (403, 200, ErrorCode::Forbidden),
            (400, 613, ErrorCode::RateLimited),
            (400, 100, ErrorCode::NotFound),
            (500, 2, ErrorCode::UpstreamUnavailable),
        ] {
            let body = json!({ "error": { "code": graph_code, "message": "Joe Example" } });
            let error = parse(status, &body).err().expect("an error");
            assert_eq!(error.code, expected);
            let detail = format!("(status {status}, code {graph_code})");
            assert!(error.message.ends_with(&detail), "{}", error.message);
        }
        for (status, body) in [(502, json!("<html>")), (200, json!({})), (200, json!([]))] {
            let error = parse(status, &body).err().expect("an error");
            assert_eq!(error.code, ErrorCode::UpstreamUnavailable);
        }
    }
}
