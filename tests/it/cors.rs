//! Pages of other origins, clients behind proxies, and answers that are worth compressing.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Place, TestApp, query};

const GAME: &str = "https://game.example.com";

async fn preflight(app: &TestApp, origin: &str) -> HeaderMap {
    let request = Request::options("/graphql")
        .header(header::ORIGIN, origin)
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type");
    let (status, headers, body) = app.request(request.body(Body::empty()).expect("good")).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    headers
}

async fn asked_by(app: &TestApp, origin: &str, body: &str) -> (StatusCode, HeaderMap) {
    let request = Request::post("/graphql")
        .header(header::ORIGIN, origin)
        .header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_owned())).expect("good");
    let (status, headers, _) = app.request(request).await;
    (status, headers)
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    headers.get("access-control-allow-origin").map(|origin| origin.to_str().expect("text"))
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_call_and_read() {
    let app = TestApp::with(&Place::Memory, &[("CORS_ORIGINS", GAME)]).await;
    let headers = preflight(&app, GAME).await;
    assert_eq!(allowed(&headers), Some(GAME));
    assert_eq!(headers["access-control-allow-methods"], "GET,POST");
    assert_eq!(
        headers["access-control-allow-headers"],
        "authorization,content-type,x-request-id,apollo-require-preflight,apollographql-client-name,\
         apollographql-client-version,graphql-require-preflight,x-apollo-operation-name"
    );
    assert_eq!(headers["access-control-max-age"], "7200");
    assert!(headers.contains_key("x-request-id"));
    assert!(headers["vary"].to_str().expect("text").contains("origin"));
    for (body, status) in [(r#"{"query":"{ authenticated }"}"#, 200), ("{", 400)] {
        let (answered, headers) = asked_by(&app, GAME, body).await;
        assert_eq!((answered.as_u16(), allowed(&headers)), (status, Some(GAME)));
        assert_eq!(headers["access-control-expose-headers"], "x-request-id,retry-after");
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_not() {
    let production = [
        ("ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://api.example.com"),
        ("DATABASE_TLS", "off"),
    ];
    let app = TestApp::with(&Place::Memory, &production).await;
    for foreign in [GAME, "http://localhost:3000", "null", "https://api.example.com.evil.example"] {
        assert_eq!(allowed(&preflight(&app, foreign).await), None, "{foreign}");
        let (_, headers) = asked_by(&app, foreign, r#"{"query":"{ authenticated }"}"#).await;
        assert_eq!(allowed(&headers), None, "{foreign}");
    }
    let own = "https://api.example.com";
    assert_eq!(allowed(&preflight(&app, own).await), Some(own));
}

#[tokio::test]
async fn in_development_a_page_of_this_machine_may() {
    let app = TestApp::new(&Place::Memory).await;
    assert_eq!(
        allowed(&preflight(&app, "http://localhost:5173").await),
        Some("http://localhost:5173")
    );
    assert_eq!(allowed(&preflight(&app, GAME).await), None);
    let app = TestApp::with(&Place::Memory, &[("CORS_ORIGINS", "*")]).await;
    assert_eq!(allowed(&preflight(&app, GAME).await), Some(GAME));
}

#[tokio::test]
async fn a_big_answer_is_compressed_for_who_asks_and_a_small_one_is_not() {
    let app = TestApp::new(&Place::Memory).await;
    let get = async |path: &str, accepted: &str| {
        let request = Request::get(path).header(header::ACCEPT_ENCODING, accepted);
        let (_, headers, body) = app.request(request.body(Body::empty()).expect("good")).await;
        (
            headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip"),
            headers,
            body,
        )
    };
    let (is_gzip, _, plain) = get("/console/tabs.json", "identity").await;
    assert!(!is_gzip && plain.starts_with(b"["), "as it is");
    let (is_gzip, headers, packed) = get("/console/tabs.json", "gzip, br").await;
    assert!(is_gzip && packed.starts_with(&[0x1f, 0x8b]) && packed.len() < plain.len() / 2);
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
    let request = request.body(Body::from(body.to_string())).expect("good");
    let (_, _, body) = app.request(request).await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["errors"][0]["extensions"]["code"].clone()
}

#[tokio::test]
async fn an_address_that_a_client_invents_does_not_escape_its_limit() {
    // Development multiplies the limits by address: this is one sign-up.
    let once = ("LIMITS_SCALE", "0.0001");
    let app = TestApp::with(&Place::Memory, &[once]).await;
    assert_eq!(sign_up(&app, "ann", &["203.0.113.1"]).await, Value::Null);
    assert_eq!(sign_up(&app, "bob", &["203.0.113.2"]).await, "RATE_LIMITED", "no proxy is trusted");

    let app = TestApp::with(&Place::Memory, &[once, ("TRUSTED_PROXIES", "192.0.2.0/24")]).await;
    assert_eq!(sign_up(&app, "ann", &["203.0.113.1"]).await, Value::Null);
    for spoofed in [
        &["203.0.113.1"][..],
        &["198.51.100.7, 203.0.113.1"],
        &["198.51.100.7", "203.0.113.1, 192.0.2.9"],
        &["192.0.2.9, 203.0.113.1:4321"],
    ] {
        assert_eq!(sign_up(&app, "bob", spoofed).await, "RATE_LIMITED", "{spoofed:?}");
    }
    assert_eq!(sign_up(&app, "bob", &["203.0.113.1, 203.0.113.2"]).await, Value::Null);
}
