//! HTTP middleware: request ids, the request log, default headers, CORS, panics and compression.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Any, CorsLayer};
use tracing::Instrument;

use super::drain::DrainableBody;
use super::graphql::OperationLabel;
use super::jsend;
use super::origins::Origins;
use super::request_id::{RequestId, X_REQUEST_ID};
use crate::app::App;

const MAX_LOGGED_NAME_LEN: usize = 64;
/// Chromium caches a preflight response for at most this long.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(2);
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// Assigns the request id, drains an unread body, writes the log line and sets the default headers.
pub async fn log_request(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::from_client_or_random(&app, &request);
    request.extensions_mut().insert(id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = %id.0);
    let started_at = app.platform.uptime();

    let expects_continue = request.headers().contains_key(header::EXPECT);
    let (head, body) = request.into_parts();
    let body = DrainableBody::new(body);
    let request = Request::from_parts(head, body.to_body());
    let mut response = next.run(request).instrument(span.clone()).await;
    // Draining would wait once more for a body that has already timed out.
    let has_timed_out = response.status() == StatusCode::REQUEST_TIMEOUT;
    if !has_timed_out && body.has_unread_bytes(expects_continue) {
        response = body.drain_after(app.clone(), response);
    }

    let millis = app.platform.uptime().saturating_sub(started_at).as_millis();
    let status = response.status().as_u16();
    let label = response.extensions().get::<OperationLabel>().cloned();
    let (kind, name) =
        label.map_or((None, None), |label| (Some(label.kind.to_string()), label.name));
    let name = name.map(|name| name.chars().take(MAX_LOGGED_NAME_LEN).collect::<String>());
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

/// Turns a panic into a response. Runs inside CORS, so that a page may read this response too.
pub async fn catch_panic(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let id = RequestId::from_extensions(request.extensions());
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    // The panic hook has logged the panic.
    response.unwrap_or_else(|_| jsend::internal_error(&path, &id))
}

/// CORS: which pages may send requests and read responses. Credentials are not allowed, as there are no cookies.
pub fn cors(origins: Origins) -> CorsLayer {
    allow_origins(origins)
        .allow_methods([Method::GET, Method::POST])
        .expose_headers([X_REQUEST_ID.clone(), header::RETRY_AFTER])
}

/// CORS of the proxy of connections: the headers of responses are those of any API.
pub fn proxy_cors(origins: Origins, methods: impl Into<AllowMethods>) -> CorsLayer {
    allow_origins(origins).allow_methods(methods).expose_headers(Any)
}

/// Pages of these origins may send any headers: tracing alone adds several (`traceparent`, `baggage`, `sentry-trace`).
fn allow_origins(origins: Origins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, request| {
            origins.allows(origin, request)
        }))
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(PREFLIGHT_MAX_AGE)
}

type TextAboveMinSize = And<SizeAbove, fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool>;

/// Compresses text above 1 KiB. Smaller responses fit into one packet anyway.
pub fn compression() -> CompressionLayer<TextAboveMinSize> {
    let is_text: fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool =
        |_, _, headers, _| is_text(headers) && !has_ranges(headers);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES).and(is_text))
}

/// Whether the content is compressible text. Images are already compressed, and compression would delay events.
fn is_text(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_listed =
        matches!(media_type, "application/json" | "application/javascript" | "image/svg+xml");
    let is_text = media_type.starts_with("text/") && media_type != "text/event-stream";
    let is_json = media_type.starts_with("application/") && media_type.ends_with("+json");
    is_listed || is_text || is_json
}

/// Whether parts of the content can be requested. Ranges count its bytes without compression.
fn has_ranges(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCEPT_RANGES)
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
    async fn pages_may_read_the_response_of_a_panic_with_its_request_id() {
        async fn handler() {
            panic!("as a test");
        }
        let config = Config::from_values([].into()).expect("defaults are valid");
        let router = Router::new()
            .route("/graphql", get(handler))
            .layer(from_fn(catch_panic))
            .layer(cors(Origins::new(&config)))
            .layer(Extension(RequestId("an-id".into())));
        let request = Request::get("/graphql").header(header::ORIGIN, "http://localhost:3000");
        let request = request.body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("a response");
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["errors"][0]["extensions"]["requestId"], "an-id");
        assert_eq!(body["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
    }

    #[tokio::test]
    async fn files_with_ranges_are_not_compressed() {
        let text = || ([(header::CONTENT_TYPE, "text/csv")], "a,b\n".repeat(1024));
        let router = Router::new()
            .route("/text", get(async move || text()))
            .route("/file", get(async move || ([(header::ACCEPT_RANGES, "bytes")], text())))
            .layer(compression());
        for (path, is_compressed) in [("/text", true), ("/file", false)] {
            let request = Request::get(path).header(header::ACCEPT_ENCODING, "gzip");
            let request = request.body(Body::empty()).expect("a request");
            let response = router.clone().oneshot(request).await.expect("a response");
            let headers = response.headers();
            assert_eq!(headers.contains_key(header::CONTENT_ENCODING), is_compressed, "{path}");
        }
    }

    #[test]
    fn text_is_compressed_except_events() {
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
