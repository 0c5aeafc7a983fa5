//! What an answer means by its HTTP status alone, when its body says no more.

use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::{Outcome, Reason};
use crate::platform::outbound::Reply;

/// What asks for more patience than this is not believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What a status means, with the gateway's own code, if it gave one that says nothing by itself.
pub(super) fn by_status(reply: &Reply, code: Option<i64>) -> Outcome {
    let status = reply.status;
    let reason = Reason {
        code: code.map(|code| code.to_string()),
        text: format!("the gateway answered with status {}", status.as_u16()),
    };
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::SERVICE_UNAVAILABLE => {
            Outcome::NotNow { reason, after: retry_after(&reply.headers) }
        }
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN => {
            Outcome::Misconfigured(reason)
        }
        // The API is elsewhere, unless it says by a code of its own what it did not find.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if code.is_none() => {
            Outcome::Misconfigured(reason)
        }
        _ if status.is_redirection() => Outcome::Misconfigured(reason),
        _ if status.is_client_error() => Outcome::Refused(reason),
        _ => Outcome::Unclear { reason, is_error: status.is_server_error() },
    }
}

/// The longest id of a gateway that is kept, in bytes.
const LONGEST_ID: usize = 255;

/// Whether a gateway's id can be kept and looked for.
pub fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && !id.contains(char::is_control)
}

/// How long an answer asks to wait: `Retry-After` in seconds, or as a date (RFC 9110, 10.2.3), which is
/// told from the answer's own `Date`, so that our clock need not agree with theirs.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    let asked = text(RETRY_AFTER)?;
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (date(asked)? - date(text(DATE)?)?).to_std().unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An answer of this status and body.
    pub fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn a_status_says_who_is_to_act() {
        let kind = |status| match by_status(&reply(status, "<html>"), None) {
            Outcome::Refused(_) => "refused",
            Outcome::NotNow { .. } => "later",
            Outcome::Misconfigured(_) => "misconfigured",
            Outcome::Unclear { is_error: true, .. } => "failed",
            Outcome::Unclear { is_error: false, .. } => "unclear",
            other => panic!("{status}: {other:?}"),
        };
        for (statuses, expected) in [
            (&[400, 409, 413, 422][..], "refused"),
            (&[408, 429, 503], "later"),
            (&[301, 302, 307, 308, 401, 402, 403, 404, 405], "misconfigured"),
            (&[500, 502, 504, 599], "failed"),
            (&[200, 201, 204], "unclear"),
        ] {
            for status in statuses {
                assert_eq!(kind(*status), expected, "{status}");
            }
        }
        let unknown = by_status(&reply(404, "{}"), Some(12345));
        let reason = Reason::coded(12345, "the gateway answered with status 404");
        assert_eq!(unknown, Outcome::Refused(reason));
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        let now = (DATE, "Sun, 06 Nov 1994 08:49:00 GMT");
        for (asked, expected) in [
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
            let wait = retry_after(&headers(&[(RETRY_AFTER, asked), now.clone()]));
            assert_eq!(wait, expected.map(Duration::from_secs), "{asked}");
        }
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, now.1)])), None, "without a Date");
        assert_eq!(retry_after(&headers(&[now])), None);
    }
}
