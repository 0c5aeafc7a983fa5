//! API connections: their life, the guard in front of them, and the secrecy of what they keep.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::{Value, json};
use switchboard::connections;

use crate::support::connections::{FakeProvider, Keys};
use crate::support::upstream::Reply;
use crate::support::{Caller, GraphQLResponse, KEY_RING, TestApp, TestDatabase};
use crate::support::{empty_request, on_each_shared_database};

const DAY: Duration = Duration::from_hours(24);

fn ok() -> Reply {
    Reply::Json(200, json!({ "ok": true }))
}

#[tokio::test]
async fn a_connection_lives_from_its_creation_to_its_deletion() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let created = caller
            .create_connection(json!({
                "provider": "fake", "credentials": { "accessToken": "token-1" }, "label": "Ann", "endUser": "42",
            }))
            .await;
        let keys = Keys::of(created.data("/createConnection"));
        assert!(keys.reference.starts_with("cxn_") && keys.secret.starts_with("cxs_"));
        assert_eq!(keys.secret.len(), 56);
        let connection = created.data("/createConnection/connection");
        for (field, expected) in [
            ("id", json!(keys.reference)),
            ("providerKey", json!("fake")),
            ("provider", json!({ "name": "Fake" })),
            ("scheme", json!("BEARER")),
            ("label", json!("Ann")),
            ("endUser", json!("42")),
            ("status", json!("ACTIVE")),
            ("calls", json!(0)),
            ("lastUsedAt", json!(null)),
        ] {
            assert_eq!(connection[field], expected, "{field}");
        }
        assert!(provider.upstream.requests().is_empty(), "nobody is called without verify");

        let body = "{\"z\": 1.10,\n \"a\": 123456789012345678901234567890, \"b\": \"\\u00e9\"}";
        let length = body.len();
        provider.upstream.reply_with([Reply::Raw(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: a=b\r\nx-ratelimit-limit: 10\r\n\
             x-ratelimit-remaining: 9\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))]);
        let query = json!({ "path": "/user/repos", "query": { "page": 2, "q": "a b" } });
        let answer = caller.call(&keys, query).await;
        assert_eq!(answer.data("/callConnection/status"), 200);
        let own_bytes = "\"body\":{\"z\": 1.10,  \"a\": 123456789012345678901234567890, \"b\": \"\\u00e9\"}";
        assert!(answer.text.contains(own_bytes), "{}", answer.text);
        assert_eq!(answer.data("/callConnection/headers").get("set-cookie"), None);
        assert_eq!(answer.data("/callConnection/rateLimit/remaining"), 9);
        let request = provider.upstream.requests().remove(0).to_lowercase();
        assert!(request.starts_with("get /v1/user/repos?page=2&q=a+b http/1.1"), "{request}");
        assert!(request.contains("authorization: bearer token-1\r\n"), "{request}");
        assert!(request.contains("x-version: 7\r\n"), "{request}");

        app.clock.advance(Duration::from_secs(1));
        let read = caller.connection(&keys).await;
        assert_eq!(read.data("/connection/calls"), 1);
        assert_eq!(read.data("/connection/lastUsedAt"), "2026-01-02T03:04:05Z");
        let entry = &read.nodes("/connection/callLog")[0];
        assert_eq!(
            (&entry["method"], &entry["path"], &entry["status"], &entry["attempts"]),
            (&json!("GET"), &json!("/user/repos"), &json!(200), &json!(1))
        );

        let updated = caller.update(&keys, json!({ "credentials": { "accessToken": "token-2" }, "label": "Bob" })).await;
        assert_eq!(updated.data("/updateConnection/label"), "Bob");
        assert_eq!(updated.data("/updateConnection/endUser"), "42");
        provider.upstream.reply_with([ok()]);
        caller.call(&keys, json!({ "path": "/" })).await.data("/callConnection");
        assert!(provider.upstream.requests()[1].to_lowercase().contains("bearer token-2\r\n"));

        let rotated = caller.with_keys("rotateConnectionSecret", "{ reference secret }", &keys).await;
        let new_keys = Keys::of(rotated.data("/rotateConnectionSecret"));
        assert_eq!(new_keys.reference, keys.reference);
        caller.connection(&keys).await.assert_error("NOT_FOUND", "");
        assert_eq!(caller.connection(&new_keys).await.data("/connection/calls"), 2);

        let deleted = caller.with_keys("deleteConnection", "", &new_keys).await;
        assert_eq!(deleted.data("/deleteConnection"), true);
        caller.connection(&new_keys).await.assert_error("NOT_FOUND", "");
        assert_eq!(app.count("SELECT COUNT(*) FROM connections").await, 0);
        assert_eq!(app.count("SELECT COUNT(*) FROM connection_calls").await, 0);
    })
    .await;
}

impl Caller {
    /// Changes a connection.
    async fn update(&self, keys: &Keys, mut variables: Value) -> GraphQLResponse {
        let query = "mutation ($reference: ID!, $secret: String, $credentials: JSON, $label: String, $endUser: String) {
            updateConnection(reference: $reference, secret: $secret, credentials: $credentials, label: $label, endUser: $endUser) {
                label endUser status } }";
        variables["reference"] = json!(keys.reference);
        variables["secret"] = json!(keys.secret);
        self.send(query, variables).await
    }

    /// Sends a mutation whose only arguments are the keys.
    async fn with_keys(&self, field: &str, selection: &str, keys: &Keys) -> GraphQLResponse {
        let query = format!(
            "mutation ($reference: ID!, $secret: String) {{ {field}(reference: $reference, secret: $secret) {selection} }}"
        );
        let variables = json!({ "reference": keys.reference, "secret": keys.secret });
        self.send(&query, variables).await
    }
}

/// An answer without the id of its request.
fn without_request_id(mut response: GraphQLResponse) -> Value {
    let errors = response.body["errors"].as_array_mut().expect("errors");
    for error in errors {
        error["extensions"]["requestId"].take();
    }
    response.body
}

#[tokio::test]
async fn wrong_missing_and_unknown_secrets_get_the_same_answer() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let (keys, other) = (caller.connect("token").await, caller.connect("token").await);
        let wrong = [
            (&*keys.reference, json!(other.secret)),
            (&*keys.reference, json!(null)),
            (&*keys.reference, json!("")),
            (&*keys.reference, json!(keys.secret.to_uppercase())),
            ("cxn_00000000000000000000000000", json!(keys.secret)),
            ("cxn_00000000000000000000000000", json!(null)),
            ("", json!(keys.secret)),
            ("map_nonsense", json!(keys.secret)),
        ];
        for (field, arguments, selection) in [
            ("connection", "", "{ id }"),
            ("updateConnection", ", label: \"\", credentials: 1", "{ id }"),
            ("rotateConnectionSecret", "", "{ secret }"),
            ("deleteConnection", "", ""),
        ] {
            let kind = if field == "connection" { "query" } else { "mutation" };
            let query = format!(
                "{kind} ($r: ID!, $s: String) {{ {field}(reference: $r, secret: $s{arguments}) {selection} }}"
            );
            let mut answers = Vec::new();
            for (reference, secret) in &wrong {
                let answer = caller.send(&query, json!({ "r": reference, "s": secret })).await;
                answer.assert_error("NOT_FOUND", "");
                answers.push(without_request_id(answer));
            }
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        }
        let call = "mutation ($r: ID!, $s: String) {
            callConnection(input: { reference: $r, secret: $s, path: \"..\" }) { status } }";
        for (reference, secret) in &wrong {
            let answer = caller.send(call, json!({ "r": reference, "s": secret })).await;
            answer.assert_error("NOT_FOUND", "");
        }
        assert!(provider.upstream.requests().is_empty());
        assert_eq!(caller.connection(&keys).await.data("/connection/calls"), 0);
    })
    .await;
}

#[tokio::test]
async fn secrets_go_by_argument_or_header_but_not_into_urls() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let keys = app.anonymous().connect("token").await;
        let query = format!("{{ connection(reference: \"{}\") {{ id }} }}", keys.reference);
        let post = |secret: &str| {
            let body = json!({ "query": query }).to_string();
            let request = Request::post("/graphql")
                .header(header::CONTENT_TYPE, "application/json")
                .header("Connection-Secret", secret);
            request.body(Body::from(body)).expect("a request")
        };
        let caller = app.anonymous();
        let read = caller.send_request(post(&keys.secret)).await;
        assert_eq!(read.data("/connection/id"), &json!(keys.reference));
        caller.send_request(post("cxs_wrong")).await.assert_error("NOT_FOUND", "");

        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let literal = query.replace("\") {", "\", secret: \"x\") {");
        let in_fragment = format!("query {{ ...F }} fragment F on Query {literal}");
        let variable = "query ($s: String) { connection(reference: \"x\", secret: $s) { id } }";
        for query in [&*literal, &in_fragment, variable] {
            let path = format!("/graphql?query={}", encode(query));
            let (status, _, body) =
                app.request(empty_request(axum::http::Method::GET, &path)).await;
            let body = String::from_utf8(body).expect("text");
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
            assert!(body.contains("BAD_REQUEST") && body.contains("POST"), "{body}");
        }
        let path = format!("/graphql?query={}", encode(&query));
        let request = Request::get(path).header("Connection-Secret", &keys.secret);
        let read = caller.send_request(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(read.data("/connection/id"), &json!(keys.reference));
    })
    .await;
}

#[tokio::test]
async fn calls_wrong_secrets_and_creations_are_limited() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        provider.upstream.reply_by(|_| ok());
        // Undoes the factor that development has for addresses; other limits are a hundredth.
        let settings = provider.settings(&[
            ("LIMITS_SCALE", "0.01"),
            ("LIMIT_CALLS_PER_CONNECTION", "200"),
            ("LIMIT_WRONG_SECRETS_PER_ADDRESS", "3"),
            ("LIMIT_CONNECTIONS_PER_ADDRESS", "2"),
            ("LIMIT_MAPPINGS_PER_ADDRESS", "1"),
            ("LIMIT_PREVIEWS_PER_ADDRESS", "2"),
        ]);
        let app = TestApp::with(database, &settings).await;
        let caller = app.anonymous();
        let (keys, other) = (caller.connect("token").await, caller.connect("token").await);
        let input = json!({ "provider": "fake", "credentials": { "accessToken": "a" } });
        caller.create_connection(input.clone()).await.assert_error("RATE_LIMITED", "");
        caller.with_address("192.0.2.9").connect("token").await;
        let mapping = json!({ "mapping": { "a": "b" } });
        caller.create_mapping(mapping.clone()).await.data("/createMapping/id");
        let refused = caller.create_mapping(mapping).await;
        assert_eq!(refused.extension("retryAfter"), 3600);
        let preview = r#"{ previewMapping(input: { mapping: { a: "b" }, sample: { b: 1 } }) }"#;
        for _ in 0..2 {
            caller.send(preview, json!({})).await.data("/previewMapping");
        }
        let refused = caller.send(preview, json!({})).await;
        assert_eq!(refused.extension("retryAfter"), 3600);
        let call = json!({ "path": "/" });
        for _ in 0..2 {
            caller.call(&keys, call.clone()).await.data("/callConnection");
        }
        let refused = caller.call(&keys, call.clone()).await;
        assert_eq!(refused.extension("retryAfter"), 60);
        caller.call(&other, call.clone()).await.data("/callConnection");
        app.clock.advance(Duration::from_mins(1));
        caller.call(&keys, call).await.data("/callConnection");

        let wrong = Keys { secret: "cxs_wrong".into(), ..keys.clone() };
        for _ in 0..3 {
            caller.connection(&wrong).await.assert_error("NOT_FOUND", "");
        }
        caller.connection(&wrong).await.assert_error("RATE_LIMITED", "");
        caller.connection(&keys).await.assert_error("RATE_LIMITED", "");
        caller.with_address("192.0.2.9").connection(&keys).await.data("/connection");
        app.clock.advance(Duration::from_mins(15));
        caller.connection(&keys).await.data("/connection");
    })
    .await;
}

#[tokio::test]
async fn sealed_credentials_open_in_their_row_alone_and_are_resealed() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        provider.upstream.reply_by(|_| ok());
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let (ann, bob) = (caller.connect("token-ann").await, caller.connect("token-bob").await);
        let new_key = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let both = format!("{new_key},{KEY_RING}");
        let resealing = app.instance(database, &provider.settings(&[("SECRET_KEYS", &both)]), 2).await;
        assert_eq!(connections::reseal(&resealing.app.platform).await.expect("resealed"), 2);
        assert_eq!(connections::reseal(&resealing.app.platform).await.expect("resealed"), 0);
        caller.call(&ann, json!({ "path": "/" })).await.assert_error("INTERNAL_SERVER_ERROR", "");
        let caller = resealing.anonymous();
        caller.call(&ann, json!({ "path": "/" })).await.data("/callConnection");
        assert!(provider.upstream.requests()[0].contains("token-ann"));
        caller.update(&bob, json!({ "label": "bob" })).await.data("/updateConnection");
        resealing
            .sql("UPDATE connections SET sealed_credentials = (SELECT sealed_credentials FROM connections WHERE label = 'bob')")
            .await
            .expect("updated");
        let swapped = caller.call(&ann, json!({ "path": "/" })).await;
        swapped.assert_error("INTERNAL_SERVER_ERROR", "");
        assert_eq!(provider.upstream.requests().len(), 1);
        caller.call(&bob, json!({ "path": "/" })).await.data("/callConnection");
    })
    .await;
}

#[tokio::test]
async fn calls_go_on_while_keys_are_rotated() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        provider.upstream.reply_by(|_| ok());
        let new_key = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        // What an operator does first: all instances know the new key, and still seal with the old one.
        let old_first = format!("{KEY_RING},{new_key}");
        let settings = provider.settings(&[("SECRET_KEYS", &old_first)]);
        let app = TestApp::with(database, &settings).await;
        let caller = app.anonymous();
        let mut all_keys = Vec::new();
        for number in 0..30 {
            all_keys.push(caller.connect(&format!("token-{number}")).await);
        }
        let new_first = format!("{new_key},{KEY_RING}");
        let settings = provider.settings(&[("SECRET_KEYS", &new_first)]);
        let resealing = app.instance(database, &settings, 2).await;
        let use_connection = async |keys: &Keys| {
            for caller in [&caller, &resealing.anonymous()] {
                caller.call(keys, json!({ "path": "/" })).await.data("/callConnection");
                let credentials = json!({ "credentials": { "accessToken": "changed" } });
                caller.update(keys, credentials).await.data("/updateConnection");
            }
        };
        let load = join_all(all_keys.iter().map(use_connection));
        let (resealed, _) = tokio::join!(connections::reseal(&resealing.app.platform), load);
        resealed.expect("resealed");
        // The other instance has sealed with the old key until now.
        connections::reseal(&resealing.app.platform).await.expect("resealed");
        assert_eq!(connections::reseal(&resealing.app.platform).await.expect("resealed"), 0);

        let sent = provider.upstream.requests().len();
        for keys in &all_keys {
            resealing.anonymous().call(keys, json!({ "path": "/" })).await.data("/callConnection");
        }
        let sent = provider.upstream.requests().split_off(sent);
        assert!(sent.iter().all(|request| request.contains("Bearer changed")));
    })
    .await;
}

#[tokio::test]
async fn credentials_and_secrets_are_in_no_answer_and_no_log_line() {
    let log = Log::default();
    let dispatch = |log: Log| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        tracing::Dispatch::new(subscriber.with_writer(move || log.clone()).finish())
    };
    // With a single dispatcher, a log statement that another thread reaches first would be disabled for all threads.
    let _second = dispatch(Log::default());
    let _captured = tracing::dispatcher::set_default(&dispatch(log.clone()));
    let provider = FakeProvider::start().await;
    let app = provider.app(&TestDatabase::Memory).await;
    let caller = app.anonymous();
    let mut answers = Vec::new();
    let keys = caller.connect("canary-token").await;
    let basic = json!({ "provider": "fake", "scheme": "BASIC", "credentials": { "username": "canary-user", "password": "canary-password" } });
    let basic = Keys::of(caller.create_connection(basic).await.data("/createConnection"));
    for credentials in [
        json!({ "accessToken": "canary token" }),
        json!({ "accessToken": ["canary"] }),
        json!({ "apiKey": "canary", "accessToken": "canary-2" }),
        json!("canary"),
    ] {
        let input = json!({ "provider": "fake", "credentials": credentials });
        answers.push(caller.create_connection(input.clone()).await);
        answers.push(caller.update(&keys, json!({ "credentials": credentials })).await);
    }
    provider.upstream.reply_with([Reply::Json(401, json!({}))]);
    let input =
        json!({ "provider": "fake", "verify": true, "credentials": { "accessToken": "canary-3" } });
    answers.push(caller.create_connection(input).await);
    for reply in [ok(), Reply::Reset, Reply::Json(401, json!({})), Reply::Raw("nonsense".into())] {
        provider.upstream.reply_with([reply]);
        let call = json!({ "method": "POST", "path": "/a", "payload": { "b": 1 } });
        answers.push(caller.call(if answers.len() % 2 == 0 { &keys } else { &basic }, call).await);
    }
    answers.push(caller.connection(&keys).await);
    answers.push(
        caller.connection(&Keys { reference: basic.reference.clone(), ..keys.clone() }).await,
    );
    app.sql("UPDATE connections SET sealed_credentials = secret_hash").await.expect("updated");
    answers.push(caller.call(&keys, json!({ "path": "/" })).await);
    assert!(provider.upstream.requests().iter().any(|request| request.contains("canary-token")));
    let stored: Vec<u8> = app.select("SELECT secret_hash FROM connections").await;
    assert!(!stored.windows(4).any(|bytes| bytes == b"cxs_"));
    let log = log.take();
    assert!(log.contains("TRACE") && log.contains("cannot open connections/"), "{log}");
    let answers = answers.iter().map(|answer| &*answer.text);
    for text in answers.chain([&*log]) {
        for canary in ["canary", "Y2FuYXJ5", &keys.secret, &basic.secret] {
            let lines = text.lines().filter(|line| line.contains(canary)).collect::<Vec<_>>();
            assert!(lines.is_empty(), "{canary}: {lines:#?}");
        }
    }
}

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.0.lock())).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn bad_input_is_reported_whole_and_verification_asks_the_provider_first() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        for (input, errors) in [
            (json!({ "provider": "fkae", "credentials": {}, "label": "", "endUser": "\u{7}" }), vec!["BAD_USER_INPUT label", "BAD_USER_INPUT endUser", "UNKNOWN_PROVIDER provider"]),
            (json!({ "provider": "fake", "credentials": { "password": 1 }, "label": "" }), vec!["BAD_USER_INPUT label", "INVALID_CREDENTIAL_SET credentials.accessToken", "INVALID_CREDENTIAL_SET credentials.password"]),
            (json!({ "provider": "fake", "scheme": "API_KEY", "credentials": {} }), vec!["BAD_USER_INPUT scheme"]),
            (json!({ "provider": "hosted", "verify": true, "credentials": { "accessToken": "a", "instanceUrl": "https://example.com" } }), vec!["BAD_USER_INPUT verify"]),
            (json!({ "provider": "hosted", "credentials": { "accessToken": "a", "instanceUrl": "https://10.0.0.1" } }), vec!["INVALID_CREDENTIAL_SET credentials.instanceUrl"]),
            (json!({ "provider": "hosted", "credentials": { "accessToken": "a", "instanceUrl": "https://169.254.169.254" } }), vec!["INVALID_CREDENTIAL_SET credentials.instanceUrl"]),
            (json!({ "provider": "hosted", "credentials": { "accessToken": "a", "instanceUrl": "https://localhost:1" } }), vec!["INVALID_CREDENTIAL_SET credentials.instanceUrl"]),
        ] {
            assert_eq!(caller.create_connection(input.clone()).await.errors(), errors, "{input}");
        }
        for (reply, code, field) in [
            (Reply::Json(401, json!({})), "CONNECTION_REFUSED_BY_PROVIDER", "credentials"),
            (Reply::Json(404, json!({})), "CONNECTION_REFUSED_BY_PROVIDER", "credentials"),
            (Reply::Json(500, json!({})), "UPSTREAM_UNAVAILABLE", ""),
            (Reply::Json(429, json!({})), "UPSTREAM_UNAVAILABLE", ""),
            (Reply::Reset, "UPSTREAM_UNAVAILABLE", ""),
        ] {
            provider.upstream.reply_with([reply]);
            let input = json!({ "provider": "fake", "verify": true, "credentials": { "accessToken": "a" } });
            caller.create_connection(input).await.assert_error(code, field);
        }
        assert_eq!(app.count("SELECT COUNT(*) FROM connections").await, 0);
        provider.upstream.reply_with([ok()]);
        let input = json!({ "provider": "fake", "verify": true, "credentials": { "accessToken": "a" } });
        caller.create_connection(input).await.data("/createConnection/reference");
        assert!(provider.upstream.requests().iter().all(|request| request.starts_with("GET /v1/me ")));
        let keys = caller.connect("a").await;
        let update = json!({ "label": "", "endUser": "", "credentials": {} });
        assert_eq!(
            caller.update(&keys, update).await.errors(),
            ["BAD_USER_INPUT label", "BAD_USER_INPUT endUser", "INVALID_CREDENTIAL_SET credentials.accessToken"]
        );
    })
    .await;
}

#[tokio::test]
async fn calls_are_kept_for_30_days() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        provider.upstream.reply_by(|_| ok());
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("a").await;
        caller.call(&keys, json!({ "path": "/old" })).await.data("/callConnection");
        app.advance(29 * DAY).await;
        caller.call(&keys, json!({ "path": "/new" })).await.data("/callConnection");
        let read = caller.connection(&keys).await;
        let paths: Vec<_> =
            read.nodes("/connection/callLog").iter().map(|call| &call["path"]).collect();
        assert_eq!(paths, ["/new", "/old"]);
        app.advance(2 * DAY).await;
        let read = caller.connection(&keys).await;
        assert_eq!(read.nodes("/connection/callLog").len(), 1);
        assert_eq!(app.count("SELECT COUNT(*) FROM connection_calls").await, 1);
        assert_eq!(read.data("/connection/calls"), 2);
    })
    .await;
}
