//! Middleware: CORS, client addresses behind proxies, and compression.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp, TestDatabase, query};

const GAME_ORIGIN: &str = "https://game.example.com";

/// What pages ask for: the headers of requests, and those that tracing adds.
const REQUEST_HEADERS: &str = "authorization,baggage,content-type,sentry-trace,traceparent";

async fn preflight(app: &TestApp, origin: &str) -> HeaderMap {
    let request = Request::options("/graphql")
        .header(header::ORIGIN, origin)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, REQUEST_HEADERS);
    let (status, headers, body) =
        app.request(request.body(Body::empty()).expect("a valid request")).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    headers
}

async fn post(app: &TestApp, origin: &str, body: &str) -> (StatusCode, HeaderMap) {
    let request = Request::post("/graphql")
        .header(header::ORIGIN, origin)
        .header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_owned())).expect("a valid request");
    let (status, headers, _) = app.request(request).await;
    (status, headers)
}

fn allowed_origin(headers: &HeaderMap) -> Option<&str> {
    headers.get("access-control-allow-origin").map(|origin| origin.to_str().expect("text"))
}

#[tokio::test]
async fn listed_origins_are_allowed() {
    let app = TestApp::with(&TestDatabase::Memory, &[("CORS_ORIGINS", GAME_ORIGIN)]).await;
    let headers = preflight(&app, GAME_ORIGIN).await;
    assert_eq!(allowed_origin(&headers), Some(GAME_ORIGIN));
    assert_eq!(headers["access-control-allow-methods"], "GET,POST");
    assert_eq!(headers["access-control-allow-headers"], REQUEST_HEADERS);
    assert_eq!(headers["access-control-max-age"], "7200");
    assert!(headers.contains_key("x-request-id"));
    assert!(headers["vary"].to_str().expect("text").contains("origin"));
    for (body, status) in [(r#"{"query":"{ authenticated }"}"#, 200), ("{", 400)] {
        let (response_status, headers) = post(&app, GAME_ORIGIN, body).await;
        assert_eq!(
            (response_status.as_u16(), allowed_origin(&headers)),
            (status, Some(GAME_ORIGIN))
        );
        assert_eq!(headers["access-control-expose-headers"], "x-request-id,retry-after");
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }
}

#[tokio::test]
async fn other_origins_are_not_allowed() {
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("DATABASE_TLS", "off"),
    ];
    let app = TestApp::with(&TestDatabase::Memory, &production).await;
    for origin in
        [GAME_ORIGIN, "http://localhost:3000", "null", "https://api.example.com.evil.example"]
    {
        assert_eq!(allowed_origin(&preflight(&app, origin).await), None, "{origin}");
        let (_, headers) = post(&app, origin, r#"{"query":"{ authenticated }"}"#).await;
        assert_eq!(allowed_origin(&headers), None, "{origin}");
    }
    let own_origin = "https://api.example.com";
    assert_eq!(allowed_origin(&preflight(&app, own_origin).await), Some(own_origin));
}

#[tokio::test]
async fn development_allows_loopback_origins() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    assert_eq!(
        allowed_origin(&preflight(&app, "http://localhost:5173").await),
        Some("http://localhost:5173")
    );
    assert_eq!(allowed_origin(&preflight(&app, GAME_ORIGIN).await), None);
    for app_shell in ["capacitor://localhost", "tauri://localhost", "http://tauri.localhost"] {
        assert_eq!(allowed_origin(&preflight(&app, app_shell).await), Some(app_shell));
    }
    let app = TestApp::with(&TestDatabase::Memory, &[("CORS_ORIGINS", "*")]).await;
    assert_eq!(allowed_origin(&preflight(&app, "null").await), None);
    assert_eq!(allowed_origin(&preflight(&app, GAME_ORIGIN).await), Some(GAME_ORIGIN));
}

#[tokio::test]
async fn origins_of_apps_and_of_all_subdomains_can_be_listed() {
    const LISTED: &str = "capacitor://localhost, https://*.example.com, app://.";
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.org"),
        ("DATABASE_TLS", "off"),
        ("CORS_ORIGINS", LISTED),
    ];
    let app = TestApp::with(&TestDatabase::Memory, &production).await;
    let is_allowed = async |origin: &str| {
        let headers = preflight(&app, origin).await;
        let (_, answered) = post(&app, origin, r#"{"query":"{ authenticated }"}"#).await;
        assert_eq!(allowed_origin(&headers), allowed_origin(&answered), "{origin}");
        allowed_origin(&headers).inspect(|allowed| assert_eq!(*allowed, origin)).is_some()
    };
    for origin in [
        "capacitor://localhost",
        "https://game.example.com",
        "https://game.eu.example.com",
        "app://.",
        "https://api.example.org",
    ] {
        assert!(is_allowed(origin).await, "{origin}");
    }
    for origin in [
        "ionic://localhost",
        "https://example.com",
        "http://game.example.com",
        "https://game.example.com:8443",
        "https://evilexample.com",
        "https://localhost",
        "null",
        "file://",
    ] {
        assert!(!is_allowed(origin).await, "{origin}");
    }
}

#[tokio::test]
async fn large_responses_are_compressed_if_accepted_and_small_ones_are_not() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let get = async |path: &str, encodings: &str| {
        let request = Request::get(path).header(header::ACCEPT_ENCODING, encodings);
        let (_, headers, body) =
            app.request(request.body(Body::empty()).expect("a valid request")).await;
        (
            headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip"),
            headers,
            body,
        )
    };
    let (is_gzip, _, plain) = get("/console/tabs.json", "identity").await;
    assert!(!is_gzip && plain.starts_with(b"["), "uncompressed");
    let (is_gzip, headers, compressed) = get("/console/tabs.json", "gzip, br").await;
    assert!(is_gzip && compressed.starts_with(&[0x1f, 0x8b]) && compressed.len() < plain.len() / 2);
    assert!(headers.get_all("vary").iter().any(|vary| vary == "accept-encoding"));
    let (is_gzip, _, small) = get("/health/live", "gzip, br").await;
    assert!(!is_gzip && small.starts_with(b"{"));
}

async fn sign_up(app: &TestApp, name: &str, forwarded: &[&str]) -> Value {
    let input = json!({ "nickname": name, "password": PASSWORD });
    let body = json!({ "query": query!("signup"), "variables": { "input": input } });
    let mut request = Request::builder().method(Method::POST).uri("/graphql");
    request = request.header(header::CONTENT_TYPE, "application/json");
    for line in forwarded {
        request = request.header("x-forwarded-for", *line);
    }
    let request = request.body(Body::from(body.to_string())).expect("a valid request");
    let (_, _, body) = app.request(request).await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["errors"][0]["extensions"]["code"].clone()
}

#[tokio::test]
async fn forged_addresses_do_not_evade_rate_limits() {
    // Development multiplies the limits per address by 100: this scale allows one sign-up.
    let one_signup = ("LIMITS_SCALE", "0.0001");
    let app = TestApp::with(&TestDatabase::Memory, &[one_signup]).await;
    assert_eq!(sign_up(&app, "ann", &["203.0.113.1"]).await, Value::Null);
    assert_eq!(sign_up(&app, "bob", &["203.0.113.2"]).await, "RATE_LIMITED", "no proxy is trusted");

    let app =
        TestApp::with(&TestDatabase::Memory, &[one_signup, ("TRUSTED_PROXIES", "192.0.2.0/24")])
            .await;
    assert_eq!(sign_up(&app, "ann", &["203.0.113.1"]).await, Value::Null);
    for forwarded in [
        &["203.0.113.1"][..],
        &["198.51.100.7, 203.0.113.1"],
        &["198.51.100.7", "203.0.113.1, 192.0.2.9"],
        &["192.0.2.9, 203.0.113.1:4321"],
    ] {
        assert_eq!(sign_up(&app, "bob", forwarded).await, "RATE_LIMITED", "{forwarded:?}");
    }
    assert_eq!(sign_up(&app, "bob", &["203.0.113.1, 203.0.113.2"]).await, Value::Null);
}
