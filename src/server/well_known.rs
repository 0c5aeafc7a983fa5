//! `/.well-known` (RFC 8615): the public keys of access tokens, and the OAuth server metadata.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::jsend;
use crate::app::App;

const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";
/// Clients fetch the keys when they see an unknown key id, so the response must be fresh.
const NO_CACHE: &str = "no-cache";
/// The metadata changes only with the configuration.
const CACHE_ONE_HOUR: &str = "public, max-age=3600";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route(METADATA_PATH, get(server_metadata))
        .route(&format!("{METADATA_PATH}/{{*path}}"), get(server_metadata))
}

/// The public keys that verify access tokens (RFC 7517).
async fn jwks(State(app): State<Arc<App>>) -> Response {
    let keys = app.accounts.jwks(&app.platform);
    json_response(keys, "application/jwk-set+json", NO_CACHE)
}

/// The OAuth server metadata (RFC 8414). If PUBLIC_URL has a path, clients append it to the metadata path; a proxy may
/// strip it.
async fn server_metadata(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let path = uri.path().strip_prefix(METADATA_PATH).unwrap_or_default();
    if !path.is_empty() && path != app.config.public_url.path().trim_end_matches('/') {
        return jsend::not_found(uri).await;
    }
    let issuer = app.config.base_url();
    let metadata = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": ["refresh_token"],
        // There is no authorization endpoint. Section 2 requires this member although section 3.2 forbids empty ones.
        // Strict clients accept it empty, but not missing.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    });
    json_response(metadata, "application/json", CACHE_ONE_HOUR)
}

fn json_response(body: Value, content_type: &'static str, cache_control: &'static str) -> Response {
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    response
}
