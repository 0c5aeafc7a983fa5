//! The pages for people: GraphiQL, and in development GraphQL Playground.
//!
//! What they are made of is the bundle that npm builds in `console/`. It is part of the binary; debug builds
//! read it from the disk, so that a new bundle shows without a new build. A program without it has pages
//! that load the same from a CDN, each file pinned by its digest.

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

/// The bundle's page. What it loads is named after its content or its version.
const PAGE: &str = "index.html";
/// Where the bundle's files are found.
const FILES: &str = "/console/";
/// Serves the files of npm's packages as they are.
const CDN: &str = "https://cdn.jsdelivr.net/npm/";

/// Whether the bundle is there.
pub fn is_built() -> bool {
    Bundle::get(PAGE).is_some()
}

/// The pages' routes, as far as the configuration has them.
pub fn routes(config: &Config) -> Router<Arc<App>> {
    let mut router = Router::new();
    if config.graphiql {
        router = router
            .route("/", get(graphiql))
            .route("/console/tabs.json", get(tabs::tabs))
            .route("/console/graphiql.js", get(|| script(include_str!("console/graphiql.js"))))
            .route("/console/icon.svg", get(icon))
            .route("/console/{*path}", get(file));
        if !config.is_production() {
            router = router.route("/playground", get(playground)).route(
                "/console/playground.js",
                get(|| script(include_str!("console/playground.js"))),
            );
        }
    }
    router
}

async fn graphiql(State(app): State<Arc<App>>) -> Response {
    let page = match Bundle::get(PAGE) {
        Some(page) => String::from_utf8_lossy(&page.data).into_owned(),
        None => include_str!("console/graphiql.html").to_owned(),
    };
    shown(page, &app.config)
}

/// The bundle keeps Playground's files under the names that they have at the CDN.
async fn playground(State(app): State<Arc<App>>) -> Response {
    let page = include_str!("console/playground.html");
    let page = if is_built() { page.replace(CDN, FILES) } else { page.to_owned() };
    shown(page, &app.config)
}

async fn file(Path(path): Path<String>, uri: Uri) -> Response {
    let Some(file) = Bundle::get(&path).filter(|_| path != PAGE) else {
        return jsend::no_such_page(uri).await;
    };
    let is_named_for_good = path.starts_with("assets/") || path.contains('@');
    let kept = if is_named_for_good { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(header::CONTENT_TYPE, file.metadata.mimetype()), (header::CACHE_CONTROL, kept)];
    (headers, file.data).into_response()
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], include_str!("console/icon.svg"))
}

async fn script(text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], text)
}

fn shown(page: String, config: &Config) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, policy(&page, config))], Html(page)).into_response()
}

/// What a page may load and reach: its own origin, and the very files that it names at the CDN.
///
/// Styles may stand within the page: the editors make theirs as they run (Monaco its colours and sizes,
/// Playground all of its own), each time others, so that neither a digest nor a nonce can name them. Fonts
/// and pictures come as `data:` within GraphiQL's style sheet.
fn policy(page: &str, config: &Config) -> String {
    let named = page.split('"').filter(|text| text.starts_with(CDN));
    let named: String = named.flat_map(|address| [" ", address]).collect();
    // Not every browser takes 'self' for sockets as well.
    let socket = config.public_url.origin().ascii_serialization().replacen("http", "ws", 1);
    format!(
        "default-src 'none'; script-src 'self'{named}; style-src 'self' 'unsafe-inline'{named}; \
         font-src 'self' data:; img-src 'self' data:; worker-src 'self'; \
         connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
