//! The same GraphQL request over every transport, with the response in one form.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use switchboard::platform::vault::sha256;

use super::multipart_form::MultipartForm;
use super::socket::{LEGACY, MODERN};
use super::{Caller, TestApp};

/// A transport of GraphQL requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Post,
    Get,
    /// POST with the document's hash (a persisted query).
    Persisted,
    /// A multipart form with a file; the caller must be signed in.
    Form,
    Events,
    Multipart,
    Socket,
    LegacySocket,
}

impl Transport {
    pub const ALL: [Self; 8] = [
        Self::Post,
        Self::Get,
        Self::Persisted,
        Self::Form,
        Self::Events,
        Self::Multipart,
        Self::Socket,
        Self::LegacySocket,
    ];

    /// Sends a request and returns the first response.
    pub async fn send(self, app: &TestApp, caller: &Caller, request: &Value) -> Value {
        match self {
            Self::Post => response_json(app, post(caller, request, "application/json")).await,
            // A URL has a maximum length.
            Self::Get if request.to_string().len() > 20_000 => {
                response_json(app, post(caller, request, "*/*")).await
            }
            Self::Get => response_json(app, get(caller, request)).await,
            Self::Persisted => {
                response_json(app, post(caller, &with_document_hash(request), "*/*")).await
            }
            Self::Form => {
                let form = MultipartForm::new(request, &json!({ "0": ["variables.file"] }));
                response_json(app, form.file("0", "a.txt", b"a").into_request(caller)).await
            }
            Self::Events => {
                let events = text(app, post(caller, request, "text/event-stream")).await;
                let first = events.split("data: ").nth(1).unwrap_or_else(|| panic!("{events}"));
                serde_json::from_str(first.lines().next().expect("a line")).expect("JSON")
            }
            Self::Multipart => {
                let parts =
                    text(app, post(caller, request, "multipart/mixed;subscriptionSpec=1.0")).await;
                let first = parts.split("\r\n\r\n").nth(1).unwrap_or_else(|| panic!("{parts}"));
                let part: Value =
                    serde_json::from_str(first.lines().next().expect("a line")).expect("JSON");
                part["payload"].clone()
            }
            Self::Socket => over_socket(app, caller, request, MODERN, "subscribe").await,
            Self::LegacySocket => over_socket(app, caller, request, LEGACY, "start").await,
        }
    }
}

/// A request with a JSON body.
pub fn post(caller: &Caller, request: &Value, accept: &str) -> Request<Body> {
    let builder = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let builder = authorized(builder.header(header::ACCEPT, accept), caller);
    builder.body(Body::from(request.to_string())).expect("a request")
}

/// A request whose parameters are in the URL.
pub fn get(caller: &Caller, request: &Value) -> Request<Body> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in request.as_object().expect("an object") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.append_pair(name, &value);
    }
    let builder = Request::get(format!("/graphql?{}", query.finish()));
    authorized(builder, caller).body(Body::empty()).expect("a request")
}

/// Adds the caller's token.
pub fn authorized(
    builder: axum::http::request::Builder,
    caller: &Caller,
) -> axum::http::request::Builder {
    match &caller.token {
        Some(token) => builder.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => builder,
    }
}

/// The request with the hash of its document.
pub fn with_document_hash(request: &Value) -> Value {
    let mut request = request.clone();
    request["extensions"]["persistedQuery"] = json!({ "version": 1, "sha256Hash": document_hash(request["query"].as_str().expect("text")) });
    request
}

/// A document's hash, as clients write it.
pub fn document_hash(text: &str) -> String {
    HEXLOWER.encode(&sha256(text.as_bytes()))
}

async fn text(app: &TestApp, request: Request<Body>) -> String {
    String::from_utf8(app.request(request).await.2).expect("text")
}

/// The JSON of a response.
pub async fn response_json(app: &TestApp, request: Request<Body>) -> Value {
    let text = text(app, request).await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// The status, headers and JSON of a response.
pub async fn response(app: &TestApp, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (status, headers, body) = app.request(request).await;
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&body)));
    (status, headers, body)
}

async fn over_socket(
    app: &TestApp,
    caller: &Caller,
    request: &Value,
    protocol: &'static str,
    verb: &str,
) -> Value {
    let mut socket = app.serve().await.initialized_socket(protocol, caller.token.as_deref()).await;
    socket.send(json!({ "type": verb, "id": "1", "payload": request })).await;
    match socket.next_message_parts().await {
        (kind, _, errors) if kind == "error" && errors.is_array() => json!({ "errors": errors }),
        (kind, _, error) if kind == "error" => json!({ "errors": [error] }),
        (_, _, payload) => payload,
    }
}
