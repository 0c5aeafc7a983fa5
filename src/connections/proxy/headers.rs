//! Which headers of a caller go to the provider by the proxy, and which of the provider's come back.

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName};

use crate::connections::call::{is_allowed_from_caller, is_passed_back};
use crate::error::UserError;
use crate::platform::outbound::is_named_by_connection;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Besides those that any call may have: the body goes as the caller sends it, with its length and encoding, and the answer
/// comes back as the provider encodes it. The key is no argument here.
const ALLOWED_BY_PROXY: [HeaderName; 4] =
    [ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, IDEMPOTENCY_KEY];
/// As many as a call may have.
const MAX_HEADERS: usize = 50;
const MAX_TOTAL_LEN: usize = 16_384;

/// Headers that browsers, caches and the web server in front of this one obey. A provider must not set them for this
/// server's origin; some web servers even read files by them.
const ORDERS: [&str; 21] = [
    "accept-ch",
    "alt-svc",
    "cache-control",
    "cdn-cache-control",
    "clear-site-data",
    "content-security-policy",
    "content-security-policy-report-only",
    "critical-ch",
    "expires",
    "nel",
    "origin-agent-cluster",
    "pragma",
    "public-key-pins",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "strict-transport-security",
    "surrogate-control",
    "timing-allow-origin",
    "x-reproxy-url",
];
const ORDER_PREFIXES: [&str; 6] =
    ["access-control-", "cloudflare-", "cross-origin-", "x-accel-", "x-lighttpd-", "x-sendfile"];

/// The headers of a caller that go to the provider. Clients add many on their own, so those that are not allowed are left
/// out. `reserved` are those that the provider's entry and the credentials set.
///
/// # Errors
/// BAD_USER_INPUT at `headers` if there are too many.
pub fn headers_to_provider(
    headers: &HeaderMap,
    reserved: &[HeaderName],
) -> Result<HeaderMap, UserError> {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        let is_allowed = (ALLOWED_BY_PROXY.contains(name) && !reserved.contains(name))
            || is_allowed_from_caller(name, reserved);
        // The length is what frames the body, whatever Connection says.
        let is_of_this_hop = *name != CONTENT_LENGTH && is_named_by_connection(name, headers);
        if is_allowed && !is_of_this_hop {
            kept.append(name, value.clone());
        }
    }
    let length: usize = kept.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if kept.len() > MAX_HEADERS || length > MAX_TOTAL_LEN {
        let message = "There are more than 50 headers, or they are longer than 16,384 bytes.";
        return Err(UserError::bad_input(message).for_field("headers"));
    }
    Ok(kept)
}

/// The headers of a provider that come back.
pub fn headers_from_provider(headers: &HeaderMap) -> HeaderMap {
    let is_kept = |name: &HeaderName| {
        let text = name.as_str();
        is_passed_back(name, headers)
            && !ORDERS.contains(&text)
            && !ORDER_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
    };
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    let mut map = HeaderMap::new();
    for (name, value) in kept {
        map.append(name, value.clone());
    }
    map
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        map
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_not_the_callers_business_is_left_out() {
        let headers = map(&[
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("authorization", "Bearer other"),
            ("connection", "keep-alive, X-Hop, content-length"),
            ("connection-secret", "cxs_a"),
            ("content-encoding", "gzip"),
            ("content-length", "1"),
            ("content-type", "image/png"),
            ("cookie", "a=b"),
            ("host", "here"),
            ("idempotency-key", "once"),
            ("range", "bytes=0-1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-hop", "1"),
            ("x-http-method-override", "DELETE"),
            ("x-version", "8"),
            ("x_version", "8"),
        ]);
        let kept = headers_to_provider(&headers, &[HeaderName::from_static("x-version")]);
        assert_eq!(
            names(&kept.expect("headers")),
            [
                "accept",
                "accept-encoding",
                "content-encoding",
                "content-length",
                "content-type",
                "idempotency-key",
                "range",
            ]
        );
        let kept = headers_to_provider(&headers, &[IDEMPOTENCY_KEY]).expect("headers");
        assert!(!kept.contains_key(IDEMPOTENCY_KEY));
    }

    #[test]
    fn headers_are_limited() {
        let many = vec![("x-a", "1"); 51];
        assert!(headers_to_provider(&map(&many[..50]), &[]).is_ok());
        assert!(headers_to_provider(&map(&many), &[]).is_err());
        assert!(headers_to_provider(&map(&[("x-a", &*"a".repeat(16_384))]), &[]).is_err());
    }

    #[test]
    fn a_provider_gives_no_orders_for_this_origin() {
        let headers = map(&[
            ("access-control-allow-origin", "*"),
            ("cache-control", "public"),
            ("cdn-cache-control", "public"),
            ("clear-site-data", "\"*\""),
            ("connection", "x-hop"),
            ("content-disposition", "attachment"),
            ("content-length", "1"),
            ("etag", "\"a\""),
            ("link", "<1>"),
            ("link", "<2>"),
            ("set-cookie", "a=b"),
            ("strict-transport-security", "max-age=1"),
            ("x-accel-redirect", "/private"),
            ("x-hop", "1"),
            ("x-sendfile", "/etc/passwd"),
        ]);
        let kept = headers_from_provider(&headers);
        assert_eq!(names(&kept), ["content-disposition", "content-length", "etag", "link"]);
        assert_eq!(kept.get_all("link").iter().count(), 2);
    }
}
