//! A token endpoint at the fake provider, and calls that need its tokens.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::form_urlencoded;

use super::connections::Keys;
use super::upstream::{Reply, Upstream};
use super::{Caller, GraphQLResponse, TestApp};

/// What the endpoint does. Tokens are `access-1`, `refresh-1` and so on, and live for an hour.
#[derive(Clone, Default)]
pub struct FakeTokens(Arc<Mutex<State>>);

struct State {
    issued: usize,
    accepted: BTreeSet<String>,
    refresh_tokens: Vec<String>,
    is_rotating: bool,
    refuses_all: bool,
    revoked: Option<&'static str>,
    fails: Option<fn() -> Reply>,
    held_tokens: Option<Arc<Notify>>,
    held_refusals: Option<Arc<Notify>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            issued: 0,
            accepted: BTreeSet::new(),
            refresh_tokens: Vec::new(),
            is_rotating: true,
            refuses_all: false,
            revoked: None,
            fails: None,
            held_tokens: None,
            held_refusals: None,
        }
    }
}

impl FakeTokens {
    /// Lets the upstream answer token requests, and calls below `/v1` with a token of them.
    pub fn serve(upstream: &Upstream) -> Self {
        let tokens = Self::default();
        let state = tokens.0.clone();
        upstream.reply_by(move |request| state.lock().reply(request));
        tokens
    }

    /// The refresh tokens that were sent, in order. Client credentials have none.
    pub fn refresh_tokens(&self) -> Vec<String> {
        self.0.lock().refresh_tokens.clone()
    }

    /// The number of tokens that were issued.
    pub fn count(&self) -> usize {
        self.0.lock().issued
    }

    /// Whether new refresh tokens are sent.
    pub fn rotate(&self, is_rotating: bool) {
        self.0.lock().is_rotating = is_rotating;
    }

    /// Accepts a token that it has not issued.
    pub fn accept(&self, token: &str) {
        self.0.lock().accepted.insert(token.to_owned());
    }

    /// Refuses all tokens from now on, or none but unknown ones.
    pub fn refuse_all(&self, refuses_all: bool) {
        self.0.lock().refuses_all = refuses_all;
    }

    /// Refuses the tokens of until now.
    pub fn forget_access_tokens(&self) {
        self.0.lock().accepted.clear();
    }

    /// Answers token requests with this error code of RFC 6749 from now on.
    pub fn revoke(&self, code: Option<&'static str>) {
        self.0.lock().revoked = code;
    }

    /// Answers token requests like this from now on.
    pub fn fail(&self, reply: Option<fn() -> Reply>) {
        self.0.lock().fails = reply;
    }

    /// Holds the answer to the next token request until it is notified.
    pub fn hold_tokens(&self) -> Arc<Notify> {
        self.0.lock().held_tokens.insert(Arc::default()).clone()
    }

    /// Holds the next refusal of a call until it is notified.
    pub fn hold_refusals(&self) -> Arc<Notify> {
        self.0.lock().held_refusals.insert(Arc::default()).clone()
    }
}

impl State {
    fn reply(&mut self, request: &str) -> Reply {
        if request.starts_with("POST /token ") {
            return self.token_reply(request);
        }
        let is_accepted = access_token(request).is_some_and(|token| self.accepted.contains(&token));
        let refusal = json!({ "error": "invalid_token" });
        match is_accepted && !self.refuses_all {
            true => Reply::Json(200, json!({ "ok": true })),
            false => match self.held_refusals.take() {
                Some(release) => Reply::HeldStatus(release, 401, refusal),
                None => Reply::Json(401, refusal),
            },
        }
    }

    fn token_reply(&mut self, request: &str) -> Reply {
        let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let form: HashMap<_, _> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        self.refresh_tokens.extend(form.get("refresh_token").cloned());
        if let Some(reply) = self.fails {
            return reply();
        }
        if let Some(code) = self.revoked {
            return Reply::Json(400, json!({ "error": code }));
        }
        self.issued += 1;
        let access_token = format!("access-{}", self.issued);
        self.accepted.insert(access_token.clone());
        let mut answer = json!({ "access_token": access_token, "expires_in": 3600 });
        if self.is_rotating && form.contains_key("refresh_token") {
            answer["refresh_token"] = json!(format!("refresh-{}", self.issued));
        }
        match self.held_tokens.take() {
            Some(release) => Reply::Held(release, answer),
            None => Reply::Json(200, answer),
        }
    }
}

fn access_token(request: &str) -> Option<String> {
    let value = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    })?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

/// The access tokens of the calls so far.
pub fn access_tokens_used(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().filter_map(|request| access_token(request)).collect()
}

impl Caller {
    /// Creates a connection with OAuth 2.0. Other credentials replace or complete `access-0`, `refresh-0` and a client.
    pub async fn connect_oauth(&self, others: Value) -> Keys {
        let mut credentials = json!({
            "accessToken": "access-0", "refreshToken": "refresh-0",
            "clientId": "client", "clientSecret": "client-secret",
        });
        for (name, value) in others.as_object().expect("an object") {
            credentials[name] = value.clone();
        }
        let input = json!({ "provider": "oauth", "credentials": credentials });
        Keys::of(self.create_connection(input).await.data("/createConnection"))
    }

    /// Renews the access token of a connection.
    pub async fn refresh_connection(&self, keys: &Keys) -> GraphQLResponse {
        let query = "mutation ($reference: ID!, $secret: String) {
            refreshConnection(reference: $reference, secret: $secret) { status lastRefreshedAt expiresAt lastError } }";
        self.send(query, json!({ "reference": keys.reference, "secret": keys.secret })).await
    }
}

impl TestApp {
    /// Waits for the output of a future, while the clock moves slowly enough for requests not to time out.
    pub async fn while_time_creeps<T>(&self, future: impl Future<Output = T>) -> T {
        let creep = async {
            loop {
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                self.clock.advance(Duration::from_millis(10));
            }
        };
        tokio::select! {
            output = future => output,
            () = creep => unreachable!("time never ends"),
        }
    }

    /// The text of a GET request.
    pub async fn get_text(&self, path: &str) -> String {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty());
        let (_, _, body) = self.request(request.expect("a request")).await;
        String::from_utf8(body).expect("text")
    }
}
