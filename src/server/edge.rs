//! Around every request: an id, a log line, headers that every answer has, and a net for panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use tracing::Instrument;

use super::graphql::Told;
use super::jsend;
use crate::app::App;

/// Names a request in answers and in the log (`X-Request-Id`).
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 64;
const LONGEST_NAME: usize = 64;

/// Wraps a request.
pub async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(&app, &request);
    request.extensions_mut().insert(id.clone());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = %id.0);
    let began = app.platform.now();

    let answered =
        AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    // The panic itself was logged where it happened.
    let mut response = answered.unwrap_or_else(|_| jsend::internal(&path, &id));

    let millis = (app.platform.now() - began).num_milliseconds();
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
