//! Around every request: an id, a log line, headers that every answer has, the pages that may read them,
//! a net for panics, and compression.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header,
};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;

use super::graphql::Told;
use super::jsend;
use super::linger::Rest;
use super::origins::Origins;
use crate::app::App;

/// Names a request in answers and in the log (`X-Request-Id`).
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// The id that [`around`] gave a request.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().expect("every request has an id").clone()
    }
}

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 64;
const LONGEST_NAME: usize = 64;
/// The longest that Chromium keeps what a preflight answered.
const PREFLIGHT_IS_GOOD_FOR: Duration = Duration::from_hours(2);
const LEAST_COMPRESSED: u64 = 1024;

/// Wraps a request.
pub async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(&app, &request);
    request.extensions_mut().insert(id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = %id.0);
    let began = app.platform.uptime();

    let waits = request.headers().contains_key(header::EXPECT);
    let (head, body) = request.into_parts();
    let rest = Rest::of(body);
    let request = Request::from_parts(head, rest.body());
    let mut response = next.run(request).instrument(span.clone()).await;
    // A body that did not come in time is not waited for again.
    let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
    if !is_late && rest.is_coming(waits) {
        response = rest.behind(app.clone(), response);
    }

    let millis = app.platform.uptime().saturating_sub(began).as_millis();
    let status = response.status().as_u16();
    let told = response.extensions().get::<Told>().and_then(|told| told.operation.clone());
    let (kind, name) = told.map_or((None, None), |(kind, name)| (Some(kind.to_string()), name));
    let name = name.map(|name| name.chars().take(LONGEST_NAME).collect::<String>());
    span.in_scope(|| tracing::info!(%method, path, status, millis, kind, name, "answered"));
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(&X_REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    response
}

/// Catches a panic. It is within CORS, so that a page may read this answer like any other.
pub async fn net(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let id = request.extensions().get::<RequestId>().expect("every request has an id").clone();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    // The panic itself was logged where it happened.
    answered.unwrap_or_else(|_| jsend::internal(&path, &id))
}

/// Tells browsers which pages may call and read. There are no cookies, so none are let through.
pub fn cors(origins: Origins) -> CorsLayer {
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        X_REQUEST_ID.clone(),
        HeaderName::from_static("apollo-require-preflight"),
        HeaderName::from_static("apollographql-client-name"),
        HeaderName::from_static("apollographql-client-version"),
        HeaderName::from_static("graphql-require-preflight"),
        HeaderName::from_static("x-apollo-operation-name"),
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| origins.allows(origin)))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers)
        .expose_headers([X_REQUEST_ID.clone(), header::RETRY_AFTER])
        .max_age(PREFLIGHT_IS_GOOD_FOR)
}

type ForText = And<SizeAbove, fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool>;

/// Compresses what is text and worth it: in one packet, less is not sooner.
pub fn compression() -> CompressionLayer<ForText> {
    let is_text: fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool =
        |_, _, headers, _| is_text(headers);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(LEAST_COMPRESSED).and(is_text))
}

/// Kinds that are compressed already do not get smaller, and events must leave at once: only what is known
/// to be text is compressed.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let is_named = matches!(kind, "application/json" | "application/javascript" | "image/svg+xml");
    let is_text = kind.starts_with("text/") && kind != "text/event-stream";
    is_named || is_text || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The caller's own id, if it is a modest one, else a new one.
fn request_id(app: &App, request: &Request) -> RequestId {
    let given = request.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_modest = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match given.filter(is_modest) {
        Some(id) => RequestId(id.into()),
        None => RequestId(data_encoding::BASE32_DNSSEC.encode(&app.platform.random::<10>()).into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use axum::{Extension, Router};
    use tower::ServiceExt;

    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn a_page_may_read_that_a_handler_panicked_and_under_which_id() {
        async fn handler() {
            panic!("as a test");
        }
        let config = Config::from_values([].into()).expect("works with nothing");
        let router = Router::new()
            .route("/graphql", get(handler))
            .layer(from_fn(net))
            .layer(cors(Origins::new(&config)))
            .layer(Extension(RequestId("an-id".into())));
        let request = Request::get("/graphql").header(header::ORIGIN, "http://localhost:3000");
        let request = request.body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["errors"][0]["extensions"]["requestId"], "an-id");
        assert_eq!(body["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
    }

    #[test]
    fn text_is_compressed_and_events_are_not() {
        let is_text = |kind: &'static str| {
            is_text(&[(header::CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect())
        };
        for kind in [
            "application/json",
            "application/graphql-response+json; charset=utf-8",
            "application/jwk-set+json",
            "text/html; charset=utf-8",
            "text/css",
            "image/svg+xml",
        ] {
            assert!(is_text(kind), "{kind}");
        }
        for kind in [
            "text/event-stream",
            "text/event-stream; charset=utf-8",
            "multipart/mixed; boundary=\"graphql\"",
            "image/png",
            "font/woff2",
            "application/octet-stream",
            "",
        ] {
            assert!(!is_text(kind), "{kind}");
        }
    }
}
