//! Mapping of HTTP statuses and failed requests to outcomes, for all gateways.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::outcome::{FailureReason, SendOutcome};
use crate::platform::outbound::{OutboundError, Response};

/// A longer `Retry-After` is cut to this.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Maps an HTTP status to an outcome. `code` is the gateway's error code, which its own mapping does not know.
pub(super) fn outcome_by_status(response: &Response, code: Option<i64>) -> SendOutcome {
    let status = response.status;
    let reason = FailureReason {
        code: code.map(|code| code.to_string()),
        text: format!("the gateway answered with status {}", status.as_u16()),
    };
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE => {
            SendOutcome::Throttled { reason, retry_after: parse_retry_after(&response.headers) }
        }
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN => {
            SendOutcome::Misconfigured(reason)
        }
        // Without an error code of the API, the URL is wrong.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if code.is_none() => {
            SendOutcome::Misconfigured(reason)
        }
        _ if status.is_redirection() => SendOutcome::Misconfigured(reason),
        _ if status.is_client_error() => SendOutcome::Refused(reason),
        _ => SendOutcome::Indeterminate { reason, is_gateway_error: status.is_server_error() },
    }
}

/// Maps a request without a response to an outcome. Without a connection, the gateway cannot have accepted the
/// message.
pub(super) fn outcome_of_failed_request(error: &OutboundError) -> SendOutcome {
    match error {
        OutboundError::Refused(rule) => {
            let reason = format!("the gateway's URL is refused: {rule}");
            SendOutcome::Misconfigured(FailureReason::new(reason))
        }
        OutboundError::NotConnected(_) => {
            SendOutcome::Unreachable(FailureReason::new("the gateway cannot be reached"))
        }
        OutboundError::ConnectionLost(_) => SendOutcome::Indeterminate {
            reason: FailureReason::new("the connection broke off"),
            is_gateway_error: false,
        },
        OutboundError::SwitchedProtocols => SendOutcome::Indeterminate {
            reason: FailureReason::new("the gateway switched to another protocol"),
            is_gateway_error: false,
        },
        OutboundError::Timeout => SendOutcome::Indeterminate {
            reason: FailureReason::new("no answer in time"),
            is_gateway_error: false,
        },
        OutboundError::TooLarge => SendOutcome::Indeterminate {
            reason: FailureReason::new("the answer is too large"),
            is_gateway_error: false,
        },
    }
}

/// Maximum length of a gateway's message id, in bytes.
const MAX_GATEWAY_ID_LEN: usize = 255;

/// Whether a gateway's message id can be stored.
pub fn is_valid_gateway_id(id: &str) -> bool {
    (1..=MAX_GATEWAY_ID_LEN).contains(&id.len()) && !id.contains(char::is_control)
}

/// Delay that a response asks for: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3). A date is compared
/// with the response's own `Date`, so that the clocks need not agree.
pub(super) fn parse_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let value = text(RETRY_AFTER)?;
    let delay = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (date(value)? - date(text(DATE)?)?).to_std().unwrap_or_default(),
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A response with this status and body.
    pub fn response(status: u16, body: &str) -> Response {
        Response {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn statuses_map_to_outcomes() {
        let kind = |status| match outcome_by_status(&response(status, "<html>"), None) {
            SendOutcome::Refused(_) => "refused",
            SendOutcome::Throttled { .. } => "throttled",
            SendOutcome::Misconfigured(_) => "misconfigured",
            SendOutcome::Indeterminate { is_gateway_error: true, .. } => "gateway error",
            SendOutcome::Indeterminate { is_gateway_error: false, .. } => "indeterminate",
            other => panic!("{status}: {other:?}"),
        };
        for (statuses, expected) in [
            (&[400, 409, 413, 422][..], "refused"),
            (&[408, 429, 503], "throttled"),
            (&[301, 302, 307, 308, 401, 402, 403, 404, 405], "misconfigured"),
            (&[500, 502, 504, 599], "gateway error"),
            (&[200, 201, 204], "indeterminate"),
        ] {
            for status in statuses {
                assert_eq!(kind(*status), expected, "{status}");
            }
        }
        let unknown = outcome_by_status(&response(404, "{}"), Some(12345));
        let reason = FailureReason::with_code(12345, "the gateway answered with status 404");
        assert_eq!(unknown, SendOutcome::Refused(reason));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = (DATE, "Sun, 06 Nov 1994 08:49:00 GMT");
        for (value, expected) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("18446744073709551615", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:00:00 GMT", None),
            ("Sat, 06 Nov 2094 08:00:00 GMT", Some(3600)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
        ] {
            let delay = parse_retry_after(&headers(&[(RETRY_AFTER, value), now.clone()]));
            assert_eq!(delay, expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(parse_retry_after(&headers(&[(RETRY_AFTER, now.1)])), None, "without a Date");
        assert_eq!(parse_retry_after(&headers(&[now])), None);
    }
}
