//! The developer console: GraphiQL and GraphQL Playground.
//!
//! The pages use the bundle that npm builds in `console/`. Release builds embed it; debug builds read it from disk, so
//! that a new bundle needs no rebuild. Without a bundle, the pages load the same files from a CDN, each pinned by its
//! digest.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::Embed;

use super::jsend;
use crate::app::App;
use crate::config::Config;

mod tabs;

#[derive(Embed)]
#[folder = "console/dist"]
#[allow_missing = true]
struct Bundle;

/// The page of the bundle. The files that it loads have a hash or version in their names.
const INDEX_PAGE: &str = "index.html";
/// The path of the bundle's files.
const BUNDLE_PATH: &str = "/console/";
/// A CDN that serves the files of npm packages.
const CDN: &str = "https://cdn.jsdelivr.net/npm/";

/// Whether the bundle exists.
pub fn is_built() -> bool {
    Bundle::get(INDEX_PAGE).is_some()
}

/// The routes that the configuration enables.
pub fn routes(config: &Config) -> Router<Arc<App>> {
    let mut router = Router::new();
    if config.is_graphiql_enabled {
        router = router
            .route("/", get(graphiql))
            .route("/console/tabs.json", get(tabs::tabs))
            .route("/console/graphiql.js", get(|| script(include_str!("console/graphiql.js"))))
            .route("/console/icon.svg", get(icon))
            .route("/console/{*path}", get(bundle_file))
            .route("/playground", get(playground))
            .route("/console/playground.js", get(|| script(include_str!("console/playground.js"))));
    }
    router
}

async fn graphiql(State(app): State<Arc<App>>) -> Response {
    let page = match Bundle::get(INDEX_PAGE) {
        Some(page) => String::from_utf8_lossy(&page.data).into_owned(),
        None => include_str!("console/graphiql.html").to_owned(),
    };
    html_response(page, &app.config)
}

/// Playground's files have the same names in the bundle and at the CDN.
async fn playground(State(app): State<Arc<App>>) -> Response {
    let page = include_str!("console/playground.html");
    let page = if is_built() { page.replace(CDN, BUNDLE_PATH) } else { page.to_owned() };
    html_response(page, &app.config)
}

async fn bundle_file(Path(path): Path<String>, uri: Uri) -> Response {
    let Some(file) = Bundle::get(&path).filter(|_| path != INDEX_PAGE) else {
        return jsend::not_found(uri).await;
    };
    let has_versioned_name = path.starts_with("assets/") || path.contains('@');
    let cache_control =
        if has_versioned_name { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers =
        [(header::CONTENT_TYPE, file.metadata.mimetype()), (header::CACHE_CONTROL, cache_control)];
    (headers, file.data).into_response()
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("console/icon.svg"))
}

async fn script(text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], text)
}

fn html_response(page: String, config: &Config) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, content_security_policy(&page, config))], Html(page))
        .into_response()
}

/// The Content-Security-Policy of a page: it may load and connect to its own origin, and load exactly the files that it
/// names at the CDN.
///
/// Inline styles are allowed, as the editors generate theirs at run time, so that no digest or nonce can cover them.
/// GraphiQL's style sheet contains fonts and pictures as `data:`.
fn content_security_policy(page: &str, config: &Config) -> String {
    let cdn_urls = page.split('"').filter(|text| text.starts_with(CDN));
    let cdn_sources: String = cdn_urls.flat_map(|url| [" ", url]).collect();
    // In some browsers 'self' does not cover WebSockets.
    let socket = config.public_url.origin().ascii_serialization().replacen("http", "ws", 1);
    format!(
        "default-src 'none'; script-src 'self'{cdn_sources}; style-src 'self' 'unsafe-inline'{cdn_sources}; \
         font-src 'self' data:; img-src 'self' data:; worker-src 'self'; \
         connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
