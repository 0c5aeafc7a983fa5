//! What other programs look for under `/.well-known` (RFC 8615).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::jsend;
use crate::app::App;

const SERVER: &str = "/.well-known/oauth-authorization-server";
/// Whoever meets a token of a key that they do not know looks here, and must find it.
const NEVER_KEPT: &str = "no-cache";
/// Where endpoints are changes with the configuration alone.
const KEPT_FOR_AN_HOUR: &str = "public, max-age=3600";

/// The pages' routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/jwks.json", get(keys))
        .route(SERVER, get(server))
        .route(&format!("{SERVER}/{{*path}}"), get(server))
}

/// The keys that verify access tokens (RFC 7517).
async fn keys(State(app): State<Arc<App>>) -> Response {
    let keys = app.accounts.jwks(&app.platform);
    public(keys, "application/jwk-set+json", NEVER_KEPT)
}

/// Where the OAuth endpoints are, and what they take (RFC 8414). When our address has a path, clients ask with
/// it behind ours; without it comes what a proxy has taken the path from.
async fn server(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let path = uri.path().strip_prefix(SERVER).unwrap_or_default();
    if !path.is_empty() && path != app.config.public_url.path().trim_end_matches('/') {
        return jsend::no_such_page(uri).await;
    }
    let issuer = app.config.base_url();
    let about = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": ["refresh_token"],
        // There is no authorization endpoint. Section 2 wants this member, section 3.2 wants no empty ones:
        // clients that check take it empty, but not for missing.
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    });
    public(about, "application/json", KEPT_FOR_AN_HOUR)
}

fn public(body: Value, content_type: &'static str, kept: &'static str) -> Response {
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}
