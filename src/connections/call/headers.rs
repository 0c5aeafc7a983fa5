//! The headers of a call: which a caller may set, and which of the provider's are passed back.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::error::UserError;
use crate::platform::outbound::is_named_by_connection;

/// Maximum number of headers that a caller sets.
const MAX_HEADERS: usize = 50;
/// Maximum length of a name in bytes.
const MAX_NAME_LEN: usize = 100;
/// Maximum length of a value in bytes.
const MAX_VALUE_LEN: usize = 4_096;
/// Maximum length of all names and values in bytes.
const MAX_TOTAL_LEN: usize = 16_384;

/// Headers of a single hop (RFC 9110, section 7.6.1), in either direction.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Request headers that are the server's business: credentials, framing, encodings, and what the connection is.
const REFUSED: [&str; 14] = [
    "accept-encoding",
    "authorization",
    "connection-secret",
    "content-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "set-cookie",
    "true-client-ip",
    "via",
    "x-real-ip",
];

/// Beginnings of such headers. Those of rewritten URLs would lead around the check of the path.
const REFUSED_PREFIXES: [&str; 10] = [
    "cf-",
    "fastly-",
    "proxy-",
    "sec-",
    "x-client-",
    "x-cluster-",
    "x-forwarded",
    "x-host",
    "x-original-",
    "x-rewrite-",
];

/// Headers by which some servers take another method than the request's, which decides about retries and is logged.
const METHOD_OVERRIDES: [&str; 3] =
    ["x-http-method", "x-http-method-override", "x-method-override"];

/// The headers that a caller sets: an object of strings. What is null is left out. `reserved` are those that the
/// provider's entry and the credentials set.
///
/// # Errors
/// BAD_USER_INPUT for every header that is not allowed, as `headers.<name>`.
pub fn request_headers(
    headers: Option<&Value>,
    reserved: &[HeaderName],
) -> Result<HeaderMap, Vec<UserError>> {
    let headers = match headers {
        None | Some(Value::Null) => return Ok(HeaderMap::new()),
        Some(Value::Object(headers)) => headers,
        Some(_) => return Err(vec![refuse("Give an object of strings.", None)]),
    };
    if headers.len() > MAX_HEADERS {
        return Err(vec![refuse("There are more than 50 headers.", None)]);
    }
    let (mut parsed, mut errors, mut total) = (HeaderMap::new(), Vec::new(), 0);
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_null()) {
        match parse_header(name, value, reserved) {
            Ok((header, _)) if parsed.contains_key(&header) => {
                errors.push(refuse("The header is given twice.", Some(name)));
            }
            Ok((header, value)) => {
                total += header.as_str().len() + value.len();
                parsed.insert(header, value);
            }
            Err(message) => errors.push(refuse(message, Some(name))),
        }
    }
    if errors.is_empty() && total > MAX_TOTAL_LEN {
        errors.push(refuse("The headers are longer than 16,384 bytes.", None));
    }
    if errors.is_empty() { Ok(parsed) } else { Err(errors) }
}

fn refuse(message: &str, name: Option<&str>) -> UserError {
    let field = name.map_or_else(|| "headers".to_owned(), |name| format!("headers.{name}"));
    UserError::bad_input(message).for_field(field)
}

fn parse_header(
    name: &str,
    value: &Value,
    reserved: &[HeaderName],
) -> Result<(HeaderName, HeaderValue), &'static str> {
    let header = HeaderName::from_bytes(name.as_bytes());
    let header = header.map_err(|_| "This is not the name of a header.")?;
    if header.as_str().len() > MAX_NAME_LEN {
        return Err("The name is longer than 100 bytes.");
    }
    check_name(header.as_str(), reserved)?;
    let Value::String(value) = value else { return Err("Give the value as a string.") };
    if value.len() > MAX_VALUE_LEN {
        return Err("The value is longer than 4,096 bytes.");
    }
    let value = Some(value.trim_matches([' ', '\t'])).filter(|value| value.is_ascii());
    let value = value.and_then(|value| HeaderValue::from_str(value).ok());
    Ok((header, value.ok_or("The value may have visible ASCII characters and spaces only.")?))
}

/// Whether a caller may set this header. `reserved` are those that the provider's entry and the credentials set.
pub fn is_allowed_from_caller(name: &HeaderName, reserved: &[HeaderName]) -> bool {
    check_name(name.as_str(), reserved).is_ok()
}

fn check_name(name: &str, reserved: &[HeaderName]) -> Result<(), &'static str> {
    // Gateways like CGI take an underscore for a hyphen.
    let plain = name.replace('_', "-");
    let plain = plain.as_str();
    if reserved.iter().any(|reserved| reserved.as_str().replace('_', "-") == plain) {
        return Err("The connection sets this header itself.");
    }
    if plain == "idempotency-key" {
        return Err("Give the key as `idempotencyKey`.");
    }
    if METHOD_OVERRIDES.contains(&plain) {
        return Err("Give the method as `method`.");
    }
    let is_refused = HOP_BY_HOP.contains(&plain)
        || REFUSED.contains(&plain)
        || REFUSED_PREFIXES.iter().any(|prefix| plain.starts_with(prefix));
    if is_refused { Err("This header cannot be set by a caller.") } else { Ok(()) }
}

/// Whether a header of the provider's response is passed back to the caller. `headers` are all of the response.
pub fn is_passed_back(name: &HeaderName, headers: &HeaderMap) -> bool {
    let plain = name.as_str();
    !HOP_BY_HOP.contains(&plain)
        && !matches!(
            plain,
            "proxy-authentication-info" | "proxy-authorization" | "set-cookie" | "set-cookie2"
        )
        && !is_named_by_connection(name, headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const RESERVED: [HeaderName; 2] =
        [HeaderName::from_static("x-api-token"), HeaderName::from_static("notion-version")];

    fn fields(headers: &Value) -> Vec<String> {
        let errors = request_headers(Some(headers), &RESERVED).expect_err("refused");
        errors.iter().map(|error| error.field.as_deref().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn plain_headers_are_taken() {
        let headers = json!({
            "Accept": "application/json", "Content-Type": "text/csv; charset=utf-8", "If-None-Match": "\"x\"",
            "Stripe-Account": " acct_1 ", "X-Empty": "", "X-None": null, "Range": "bytes=0-1",
        });
        let headers = request_headers(Some(&headers), &RESERVED).expect("headers");
        assert_eq!(headers.len(), 6);
        assert_eq!(
            (&headers["stripe-account"], &headers["x-empty"]),
            (&HeaderValue::from_static("acct_1"), &HeaderValue::from_static(""))
        );
        assert_eq!(request_headers(None, &[]), Ok(HeaderMap::new()));
        assert_eq!(request_headers(Some(&Value::Null), &[]), Ok(HeaderMap::new()));
    }

    #[test]
    fn headers_that_are_the_servers_business_are_refused() {
        for name in [
            "Authorization",
            "AUTHORIZATION",
            "Proxy-Authorization",
            "proxy-x",
            "Host",
            "Cookie",
            "Connection",
            "TE",
            "Keep-Alive",
            "Transfer-Encoding",
            "Upgrade",
            "Trailer",
            "Content-Length",
            "Accept-Encoding",
            "Connection-Secret",
            "connection_secret",
            "Forwarded",
            "X-Forwarded-For",
            "X_Forwarded_For",
            "X-Forwarded",
            "X-Real-IP",
            "CF-Connecting-IP",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
            "Idempotency-Key",
            "X-Api-Token",
            "x_api_token",
            "Notion-Version",
            "Expect",
            "Via",
            "Sec-Fetch-Mode",
            "",
            " Accept",
            "Accept ",
            "Ac cept",
            "A:b",
            "A\r\nB",
            "A\0",
            "é",
            ":path",
        ] {
            assert_eq!(fields(&json!({name: "x"})), [format!("headers.{name}")]);
        }
    }

    #[test]
    fn values_and_sizes_are_limited_and_all_errors_reported() {
        let headers = json!({"A": "x\r\nB: y", "C": "\0", "D": "é", "E": 1, "F": ["x"], "G": "x".repeat(4_097), "H": "ok"});
        let mut reported = fields(&headers);
        reported.sort();
        assert_eq!(reported, ["A", "C", "D", "E", "F", "G"].map(|name| format!("headers.{name}")));
        assert_eq!(fields(&json!({"Accept": "a", "accept": "b"})).len(), 1);
        assert_eq!(fields(&json!("A: b")), ["headers"]);
        let many = |count: usize, len| -> Value {
            (0..count).map(|at| (format!("x-{at}"), "x".repeat(len))).collect()
        };
        assert_eq!(fields(&many(51, 1)), ["headers"]);
        assert_eq!(fields(&many(5, 4_000)), ["headers"]);
        assert_eq!(fields(&json!({"x".repeat(101): "x"})).len(), 1);
    }

    #[test]
    fn hop_by_hop_headers_and_cookies_are_not_passed_back() {
        let headers: HeaderMap = [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("proxy-authenticate", "Basic"),
            ("trailer", "x"),
            ("upgrade", "h2c"),
            ("content-type", "text/plain"),
            ("x-request-id", "1"),
            ("link", "</x>"),
            ("www-authenticate", "Basic"),
        ]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
        let mut passed: Vec<_> = headers
            .keys()
            .filter(|name| is_passed_back(name, &headers))
            .map(HeaderName::as_str)
            .collect();
        passed.sort_unstable();
        assert_eq!(passed, ["content-type", "link", "www-authenticate", "x-request-id"]);
    }

    proptest! {
        #[test]
        fn what_is_taken_is_one_header(name in any::<String>(), value in any::<String>()) {
            if let Ok(headers) = request_headers(Some(&json!({name.clone(): value})), &RESERVED) {
                let (taken, value) = headers.iter().next().expect("a header");
                prop_assert_eq!(taken.as_str(), name.to_ascii_lowercase());
                prop_assert!(value.as_bytes().iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
                prop_assert!(is_allowed_from_caller(taken, &RESERVED));
            }
        }
    }
}
