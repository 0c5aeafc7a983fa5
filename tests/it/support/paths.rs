//! One question over every transport, and the answer in one form.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use switchboard::platform::vault::sha256;

use super::form::Form;
use super::socket::{LEGACY, MODERN};
use super::{Caller, TestApp};

/// A way to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Post,
    Get,
    /// With the hash of the document beside it.
    Persisted,
    /// As a request with files, for somebody who is signed in.
    Form,
    Events,
    Parts,
    Socket,
    OlderSocket,
}

impl Path {
    pub const ALL: [Self; 8] = [
        Self::Post,
        Self::Get,
        Self::Persisted,
        Self::Form,
        Self::Events,
        Self::Parts,
        Self::Socket,
        Self::OlderSocket,
    ];

    /// Asks, and gives the first answer.
    pub async fn ask(self, app: &TestApp, caller: &Caller, question: &Value) -> Value {
        match self {
            Self::Post => sent(app, post(caller, question, "application/json")).await,
            // What does not fit into an address is not sent that way.
            Self::Get if question.to_string().len() > 20_000 => {
                sent(app, post(caller, question, "*/*")).await
            }
            Self::Get => sent(app, get(caller, question)).await,
            Self::Persisted => sent(app, post(caller, &persisted(question), "*/*")).await,
            Self::Form => {
                let form = Form::new(question, &json!({ "0": ["variables.file"] }));
                sent(app, form.file("0", "a.txt", b"a").request(caller)).await
            }
            Self::Events => {
                let events = text(app, post(caller, question, "text/event-stream")).await;
                let first = events.split("data: ").nth(1).unwrap_or_else(|| panic!("{events}"));
                serde_json::from_str(first.lines().next().expect("a line")).expect("JSON")
            }
            Self::Parts => {
                let parts =
                    text(app, post(caller, question, "multipart/mixed;subscriptionSpec=1.0")).await;
                let first = parts.split("\r\n\r\n").nth(1).unwrap_or_else(|| panic!("{parts}"));
                let part: Value =
                    serde_json::from_str(first.lines().next().expect("a line")).expect("JSON");
                part["payload"].clone()
            }
            Self::Socket => over_socket(app, caller, question, MODERN, "subscribe").await,
            Self::OlderSocket => over_socket(app, caller, question, LEGACY, "start").await,
        }
    }
}

/// A request with a JSON body.
pub fn post(caller: &Caller, question: &Value, accept: &str) -> Request<Body> {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    let request = authorized(request.header(header::ACCEPT, accept), caller);
    request.body(Body::from(question.to_string())).expect("a request")
}

/// A request whose members stand in its address.
pub fn get(caller: &Caller, question: &Value) -> Request<Body> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in question.as_object().expect("an object") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.append_pair(name, &value);
    }
    let request = Request::get(format!("/graphql?{}", query.finish()));
    authorized(request, caller).body(Body::empty()).expect("a request")
}

/// With the caller's token.
pub fn authorized(
    request: axum::http::request::Builder,
    caller: &Caller,
) -> axum::http::request::Builder {
    match &caller.token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

/// With the hash of its document.
pub fn persisted(question: &Value) -> Value {
    let mut question = question.clone();
    question["extensions"]["persistedQuery"] =
        json!({ "version": 1, "sha256Hash": hash(question["query"].as_str().expect("text")) });
    question
}

/// A document's hash, as clients write it.
pub fn hash(text: &str) -> String {
    HEXLOWER.encode(&sha256(text.as_bytes()))
}

async fn text(app: &TestApp, request: Request<Body>) -> String {
    String::from_utf8(app.request(request).await.2).expect("text")
}

/// The JSON that a request is answered with.
pub async fn sent(app: &TestApp, request: Request<Body>) -> Value {
    let text = text(app, request).await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// The whole answer to a request.
pub async fn answered(app: &TestApp, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (status, headers, body) = app.request(request).await;
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&body)));
    (status, headers, body)
}

async fn over_socket(
    app: &TestApp,
    caller: &Caller,
    question: &Value,
    protocol: &'static str,
    verb: &str,
) -> Value {
    let mut socket = app.serve().await.let_in(protocol, caller.token.as_deref()).await;
    socket.say(json!({ "type": verb, "id": "1", "payload": question })).await;
    match socket.hear_parts().await {
        (kind, _, errors) if kind == "error" && errors.is_array() => json!({ "errors": errors }),
        (kind, _, error) if kind == "error" => json!({ "errors": [error] }),
        (_, _, payload) => payload,
    }
}
