//! What other programs look for under `/.well-known` (RFC 8615).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;

/// The keys that verify access tokens (RFC 7517).
pub async fn jwks(State(app): State<Arc<App>>) -> Response {
    let mut response = Json(app.accounts.jwks(&app.platform)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}
