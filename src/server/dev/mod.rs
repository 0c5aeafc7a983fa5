//! For development alone: what the console gateway was given in place of phones.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::jsend;
use crate::app::App;
use crate::config::Config;
use crate::messages::Sent;

/// The routes, which production does not have.
pub fn routes(config: &Config) -> Router<Arc<App>> {
    match config.is_production() {
        true => Router::new(),
        false => Router::new()
            .route("/dev/messages", get(messages))
            .route("/dev/messages.js", get(script)),
    }
}

#[derive(Deserialize)]
struct Which {
    to: Option<String>,
}

/// A page for a browser, JSend for a program that asks for it.
async fn messages(
    State(app): State<Arc<App>>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.unwrap_or_default().contains("text/html") {
        let policy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
        let page = Html(include_str!("messages.html"));
        return ([(header::CONTENT_SECURITY_POLICY, policy)], page).into_response();
    }
    // A plus that was not encoded is a blank by the rules of queries.
    let to = which.to.map(|to| to.trim_start().trim_start_matches('+').to_owned());
    let sent = app.messages.printed(to.map(|to| format!("+{to}")).as_deref());
    let sent: Vec<Value> = sent.unwrap_or_default().iter().map(shown).collect();
    jsend::success(json!({ "messages": sent }))
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], include_str!("messages.js"))
}

fn shown(sent: &Sent) -> Value {
    json!({
        "id": sent.id, "to": sent.to, "body": sent.body, "kind": sent.kind.as_str(),
        "createdAt": sent.created_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
    })
}
