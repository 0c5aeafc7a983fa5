//! A provider to try API connections with, offline: tokens that live for a minute, lists, errors, limits, slow answers.
//! In development only. Its state is in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use data_encoding::{BASE32_DNSSEC, BASE64};
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::body;
use crate::app::App;
use crate::config::Config;
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::json::UntrustedJson;

const TOKEN_LIFETIME: Duration = Duration::from_mins(1);
/// What is remembered of each kind. The oldest is forgotten.
const MAX_REMEMBERED: usize = 1000;
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_DELAY: Duration = Duration::from_mins(1);
/// The limit of `/limited`.
const CALLS_PER_WINDOW: u32 = 3;
const WINDOW: Duration = Duration::from_secs(10);
const CONTACTS: u32 = 25;
const CONTACTS_PER_PAGE: u32 = 10;

/// The routes. Production has none.
pub fn routes(config: &Config) -> Router<Arc<App>> {
    if config.is_production() {
        return Router::new();
    }
    Router::new()
        .route("/dev/provider/oauth/token", post(token))
        .route("/dev/provider/me", get(me))
        .route("/dev/provider/contacts", get(list_contacts).post(create_contact))
        .route("/dev/provider/contacts/{number}", get(read_contact))
        .route("/dev/provider/limited", get(limited))
        .route("/dev/provider/slow", get(slow))
        .route("/dev/provider/status/{status}", get(answer_status).post(answer_status))
        .route("/dev/provider/text", get(text))
        .route("/dev/provider/picture", get(picture))
        .route("/dev/provider/files/{name}", put(receive_file))
        .layer(Extension(Arc::new(DemoProvider::default())))
}

/// What the provider remembers.
#[derive(Default)]
struct DemoProvider(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    access_tokens: VecDeque<(String, Timestamp)>,
    refresh_tokens: VecDeque<String>,
    idempotency_keys: VecDeque<(String, Value)>,
    created: u32,
    window_start: Option<Timestamp>,
    calls_in_window: u32,
}

fn remember<T>(queue: &mut VecDeque<T>, entry: T) {
    if queue.len() == MAX_REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(entry);
}

impl Memory {
    /// New tokens. `is_rotating` adds a refresh token that works once.
    fn issue(&mut self, platform: &Platform, is_rotating: bool) -> Value {
        let random =
            |prefix: &str| format!("{prefix}-{}", BASE32_DNSSEC.encode(&platform.random::<10>()));
        let access_token = random("demo-access");
        let mut answer = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME.as_secs(),
        });
        if is_rotating {
            let refresh_token = random("demo-refresh");
            answer["refresh_token"] = json!(refresh_token);
            remember(&mut self.refresh_tokens, refresh_token);
        }
        remember(&mut self.access_tokens, (access_token, platform.now() + TOKEN_LIFETIME));
        answer
    }

    /// Whether a refresh token works, and is rotated. A rotated one works once.
    fn use_refresh_token(&mut self, token: &str) -> Option<bool> {
        if token == "demo-refresh" {
            return Some(false);
        }
        let index = self.refresh_tokens.iter().position(|known| known == token)?;
        self.refresh_tokens.remove(index).map(|_| true)
    }
}

/// Who calls, by any of the provider's schemes.
struct User(&'static str);

impl FromRequestParts<Arc<App>> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if text("x-api-key") == Some("demo-key") {
            return Ok(Self("API_KEY"));
        }
        let authorization = text("authorization").unwrap_or_default();
        let basic = format!("Basic {}", BASE64.encode(b"demo:demo-password"));
        if authorization == basic {
            return Ok(Self("BASIC"));
        }
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let demo = parts.extensions.get::<Arc<DemoProvider>>();
        let now = app.platform.now();
        let is_valid = demo.is_some_and(|demo| {
            let memory = demo.0.lock();
            memory.access_tokens.iter().any(|(known, until)| known == token && now < *until)
        });
        if is_valid {
            return Ok(Self("OAUTH2"));
        }
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        let mut response =
            error(StatusCode::UNAUTHORIZED, "invalid_token", "The token is unknown or expired.");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        Err(response)
    }
}

fn error(status: StatusCode, code: &str, description: &str) -> Response {
    (status, Json(json!({ "error": code, "error_description": description }))).into_response()
}

/// The token endpoint (RFC 6749) for the client `demo` with the secret `demo-secret`. The code `demo` gives the first
/// tokens.
async fn token(
    State(app): State<Arc<App>>,
    Extension(demo): Extension<Arc<DemoProvider>>,
    request: Request,
) -> Response {
    let body = match body::read(&app, request.into_body(), MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let get = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
    let bad = |code: &str, description: &str| error(StatusCode::BAD_REQUEST, code, description);
    if (get("client_id"), get("client_secret")) != (Some("demo"), Some("demo-secret")) {
        return error(StatusCode::UNAUTHORIZED, "invalid_client", "The client is demo.");
    }
    let mut memory = demo.0.lock();
    let is_rotating = match get("grant_type") {
        Some("client_credentials") => false,
        Some("authorization_code") if get("code") == Some("demo") => true,
        Some("authorization_code") => return bad("invalid_grant", "The code is demo."),
        Some("refresh_token") => {
            match memory.use_refresh_token(get("refresh_token").unwrap_or_default()) {
                Some(is_rotating) => is_rotating,
                None => return bad("invalid_grant", "The refresh token is unknown or used."),
            }
        }
        _ => return bad("unsupported_grant_type", "There is no such grant."),
    };
    Json(memory.issue(&app.platform, is_rotating)).into_response()
}

async fn me(User(scheme): User) -> Json<Value> {
    Json(json!({ "id": 1, "name": "Demo User", "email": "demo@example.com", "scheme": scheme }))
}

fn contact(number: u32) -> Value {
    json!({
        "id": number,
        "first_name": format!("Contact {number}"),
        "emails": [format!("contact{number}@example.com")],
        "phone": format!("+3161234{number:04}"),
    })
}

#[derive(Deserialize)]
struct PageQuery {
    page: Option<u32>,
}

async fn list_contacts(_: User, Query(query): Query<PageQuery>) -> Json<Value> {
    let page = query.page.unwrap_or(1).clamp(1, CONTACTS);
    let first = (page - 1) * CONTACTS_PER_PAGE + 1;
    let last = (first + CONTACTS_PER_PAGE - 1).min(CONTACTS);
    let next_page = (last < CONTACTS && first <= CONTACTS).then_some(page + 1);
    let data: Vec<Value> = (first..=last).map(contact).collect();
    Json(json!({ "data": data, "total": CONTACTS, "next_page": next_page }))
}

async fn read_contact(_: User, Path(number): Path<u32>) -> Response {
    match (1..=CONTACTS).contains(&number) {
        true => Json(contact(number)).into_response(),
        false => error(StatusCode::NOT_FOUND, "not_found", "There are contacts 1 to 25."),
    }
}

/// Counts what it receives, and keeps nothing.
async fn receive_file(_: User, Path(name): Path<String>, request: Request) -> Response {
    let mut body = request.into_body().into_data_stream();
    let mut size = 0_usize;
    while let Some(part) = body.next().await {
        match part {
            Ok(part) => size += part.len(),
            Err(_) => return error(StatusCode::BAD_REQUEST, "cut", "The file is not whole."),
        }
    }
    (StatusCode::CREATED, Json(json!({ "name": name, "size": size }))).into_response()
}

/// Answers what it received. The same `Idempotency-Key` gets the same answer.
async fn create_contact(
    _: User,
    State(app): State<Arc<App>>,
    Extension(demo): Extension<Arc<DemoProvider>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = match body::read(&app, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let key = head.headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let mut memory = demo.0.lock();
    let known = memory.idempotency_keys.iter().find(|(known, _)| Some(&**known) == key);
    if let Some((_, answer)) = known {
        return (StatusCode::CREATED, Json(answer.clone())).into_response();
    }
    memory.created = memory.created.wrapping_add(1);
    let content = serde_json::from_slice::<UntrustedJson>(&body)
        .map_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()), |json| json.0);
    let answer = json!({
        "id": u64::from(CONTACTS) + u64::from(memory.created),
        "content_type": body::content_type(&head.headers),
        "content": content,
    });
    if let Some(key) = key {
        remember(&mut memory.idempotency_keys, (key.to_owned(), answer.clone()));
    }
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// Answers three calls in ten seconds.
async fn limited(
    _: User,
    State(app): State<Arc<App>>,
    Extension(demo): Extension<Arc<DemoProvider>>,
) -> Response {
    let now = app.platform.now();
    let mut memory = demo.0.lock();
    let start = match memory.window_start {
        Some(start) if start <= now && now < start + WINDOW => start,
        _ => {
            memory.calls_in_window = 0;
            now
        }
    };
    memory.window_start = Some(start);
    memory.calls_in_window = memory.calls_in_window.saturating_add(1);
    let reset_at = start + WINDOW;
    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-limit", CALLS_PER_WINDOW.into());
    let remaining = CALLS_PER_WINDOW.saturating_sub(memory.calls_in_window);
    headers.insert("x-ratelimit-remaining", remaining.into());
    headers.insert("x-ratelimit-reset", reset_at.timestamp().into());
    if memory.calls_in_window <= CALLS_PER_WINDOW {
        return (headers, Json(json!({ "ok": true }))).into_response();
    }
    let wait = (reset_at - now).num_milliseconds().max(0);
    headers.insert(header::RETRY_AFTER, (wait / 1000 + 1).into());
    let response =
        error(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Three calls in ten seconds.");
    (headers, response).into_response()
}

#[derive(Deserialize)]
struct SlowQuery {
    seconds: Option<u64>,
}

async fn slow(_: User, State(app): State<Arc<App>>, Query(query): Query<SlowQuery>) -> Json<Value> {
    let delay = Duration::from_secs(query.seconds.unwrap_or(5)).min(MAX_DELAY);
    app.platform.clock.sleep_until(app.platform.now() + delay).await;
    Json(json!({ "seconds": delay.as_secs() }))
}

/// Answers this status.
async fn answer_status(_: User, Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    let Some(status) = status else {
        return error(StatusCode::BAD_REQUEST, "bad_status", "A status is 200 to 599.");
    };
    (status, Json(json!({ "status": status.as_u16() }))).into_response()
}

async fn text(_: User) -> &'static str {
    "This answer is no JSON."
}

/// The smallest GIF.
async fn picture(_: User) -> Response {
    const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;";
    ([(header::CONTENT_TYPE, "image/gif")], GIF).into_response()
}
