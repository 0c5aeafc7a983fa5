//! Development pages: `/dev/messages` shows the messages that the console gateway printed instead of sending them.

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
use crate::messages::PrintedSms;

/// The routes. Production has none.
pub fn routes(config: &Config) -> Router<Arc<App>> {
    match config.is_production() {
        true => Router::new(),
        false => Router::new()
            .route("/dev/messages", get(messages))
            .route("/dev/messages.js", get(script)),
    }
}

#[derive(Deserialize)]
struct MessagesQuery {
    to: Option<String>,
}

/// A page for browsers, JSend for programs.
async fn messages(
    State(app): State<Arc<App>>,
    Query(query): Query<MessagesQuery>,
    headers: HeaderMap,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.unwrap_or_default().contains("text/html") {
        let policy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
        let page = Html(include_str!("messages.html"));
        return ([(header::CONTENT_SECURITY_POLICY, policy)], page).into_response();
    }
    // In a query, an unencoded plus means a space.
    let to = query.to.map(|to| to.trim_start().trim_start_matches('+').to_owned());
    let printed = app.messages.console_messages(to.map(|to| format!("+{to}")).as_deref());
    let messages: Vec<Value> = printed.unwrap_or_default().iter().map(message_json).collect();
    jsend::success(json!({ "messages": messages }))
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], include_str!("messages.js"))
}

fn message_json(message: &PrintedSms) -> Value {
    json!({
        "id": message.id, "to": message.to, "body": message.body, "kind": message.kind.as_str(),
        "createdAt": message.created_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
    })
}
