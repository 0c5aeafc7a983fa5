//! The proxy of API connections: what passes in each direction, what does not, and hostile providers.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::support::connections::{FakeProvider, Keys};
use crate::support::fake_tokens::{FakeTokens, access_tokens_used};
use crate::support::on_each_shared_database;
use crate::support::upstream::{Reply, Upstream};
use crate::support::{TestApp, TestDatabase};

/// A newer token is not renewed because the provider refuses it.
const MIN_TOKEN_AGE: Duration = Duration::from_secs(10);

fn request(method: Method, keys: &Keys, target: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("/connections/{}/proxy{target}", keys.reference))
        .header("Connection-Secret", &keys.secret)
}

fn without_body(request: axum::http::request::Builder) -> Request<Body> {
    request.body(Body::empty()).expect("a request")
}

fn raw(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Raw(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close, X-Hop\r\n\r\n{body}"
    ))
}

fn code(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    body["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn requests_and_answers_pass_as_they_are() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let caller = app.anonymous();
        let keys = caller.connect("token-1").await;
        let headers = "x-hop: 1\r\nx-own: 2\r\nlink: <1>\r\nlink: <2>\r\nset-cookie: a=b\r\n\
            content-type: text/html\r\ncontent-encoding: br\r\ncache-control: public\r\n\
            cdn-cache-control: public\r\nx-accel-redirect: /private\r\nkeep-alive: timeout=5\r\n\
            access-control-allow-origin: *\r\nstrict-transport-security: max-age=1\r\n";
        provider.upstream.reply_with([raw("418 Whatever", headers, "\u{1}\u{2}")]);
        let put = request(Method::PUT, &keys, "/projects/a%2Fb?x=1&x=%32&secret=hidden")
            .header("Content-Length", "5")
            .header("Content-Type", "application/x-own")
            .header("Content-Encoding", "x-own")
            .header("Accept-Encoding", "br")
            .header("Idempotency-Key", "once")
            .header("Range", "bytes=0-1")
            .header("Connection", "keep-alive, X-Caller-Hop, Authorization")
            .header("X-Caller-Hop", "1")
            .header("Authorization", "Bearer other")
            .header("Cookie", "a=b")
            .header("X-Version", "8")
            .header("X-Forwarded-For", "192.0.2.77")
            .header("X-HTTP-Method-Override", "DELETE");
        let (status, answer, body) =
            app.request(put.body(Body::from("a\0b\u{e9}")).expect("a request")).await;
        assert_eq!((status.as_u16(), &body[..]), (418, &b"\x01\x02"[..]));
        let text = |name: &str| {
            let values = answer.get_all(name).iter().map(|value| value.to_str().expect("text"));
            values.collect::<Vec<_>>().join(" ")
        };
        for (name, expected) in [
            ("x-own", "2"),
            ("link", "<1> <2>"),
            ("content-type", "text/html"),
            ("content-encoding", "br"),
            ("content-length", "2"),
            ("cache-control", "no-store"),
            ("connection-provider", "fake"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
        ] {
            assert_eq!(text(name), expected, "{name}");
        }
        for name in [
            "x-hop",
            "set-cookie",
            "cdn-cache-control",
            "x-accel-redirect",
            "keep-alive",
            "access-control-allow-origin",
            "strict-transport-security",
        ] {
            assert!(!answer.contains_key(name), "{name}");
        }

        let sent = provider.upstream.requests().remove(0);
        assert!(
            sent.starts_with("PUT /v1/projects/a%2Fb?x=1&x=%32&secret=hidden HTTP/1.1\r\n"),
            "{sent}"
        );
        assert!(sent.ends_with("\r\n\r\na\0b\u{e9}"), "{sent}");
        let sent = sent.to_lowercase();
        for header in [
            "authorization: bearer token-1",
            "x-version: 7",
            "content-length: 5",
            "content-type: application/x-own",
            "content-encoding: x-own",
            "accept-encoding: br",
            "idempotency-key: once",
            "range: bytes=0-1",
        ] {
            assert_eq!(sent.matches(&format!("\r\n{header}\r\n")).count(), 1, "{header}: {sent}");
        }
        for absent in
            ["caller-hop", "other", "cookie", "cxs_", "forwarded", "override", "x-version: 8"]
        {
            assert!(!sent.contains(absent), "{absent}: {sent}");
        }

        let read = caller.connection(&keys).await;
        assert_eq!(read.data("/connection/calls"), 1);
        let entry = &read.nodes("/connection/callLog")[0];
        assert_eq!(
            (&entry["method"], &entry["path"], &entry["status"], &entry["attempts"]),
            (&json!("PUT"), &json!("/projects/a%2Fb"), &json!(418), &json!(1))
        );
        assert_eq!(entry["errorCode"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_secret_is_not_found_whatever_else_is_wrong() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let (keys, other) =
            (app.anonymous().connect("token").await, app.anonymous().connect("token").await);
        let path = |reference: &str, rest: &str| format!("/connections/{reference}/proxy{rest}");
        let mut bodies = Vec::new();
        for (path, name, secret) in [
            (path(&keys.reference, "/a"), "connection-secret", &other.secret),
            (path(&keys.reference, "/../a"), "connection-secret", &other.secret),
            (path(&keys.reference, "/a"), "authorization", &keys.secret),
            (path(&keys.reference, &format!("/a?secret={}", keys.secret)), "x-other", &keys.secret),
            (path("cxn_00000000000000000000000000", "/a"), "connection-secret", &keys.secret),
            (path("nonsense", "/a"), "connection-secret", &keys.secret),
            (path("%2e", "/a"), "connection-secret", &keys.secret),
        ] {
            let request = Request::post(&path).header(name, secret);
            let (status, headers, body) =
                app.request(request.body(Body::from("x")).expect("a request")).await;
            assert_eq!((status, &*code(&body)), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{path}");
            assert!(!headers.contains_key("connection-provider"));
            bodies.push(body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]));
        assert!(provider.upstream.requests().is_empty());
        let (status, _) = app.get(&format!("/connections/{}/proxy", keys.reference)).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    })
    .await;
}

#[tokio::test]
async fn what_leads_elsewhere_is_refused_before_anything_is_sent() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let keys = app.anonymous().connect("token").await;
        for target in [
            "/../admin",
            "/a/../../admin",
            "/%2e%2e/admin",
            "/%252e%252e/admin",
            "/..;/admin",
            "//evil.example/",
            "/@evil.example/",
            "/a%5cb",
            "/a%00",
            "/a%zz",
            "/.",
        ] {
            let (status, _, body) =
                app.request(without_body(request(Method::GET, &keys, target))).await;
            assert_eq!((status.as_u16(), &*code(&body)), (400, "PATH_NOT_ALLOWED"), "{target}");
        }
        let long = format!("/a?{}", "x".repeat(8_001));
        for target in ["/a?'", &long] {
            let (status, _, body) =
                app.request(without_body(request(Method::GET, &keys, target))).await;
            assert_eq!((status.as_u16(), &*code(&body)), (400, "BAD_USER_INPUT"), "{target}");
        }
        for method in [Method::GET, Method::HEAD] {
            let request = request(method, &keys, "/a").body(Body::from("x")).expect("a request");
            assert_eq!(app.request(request).await.0, StatusCode::BAD_REQUEST);
        }
        for method in
            [Method::TRACE, Method::CONNECT, Method::from_bytes(b"BREW").expect("a method")]
        {
            let (status, _, _) = app.request(without_body(request(method, &keys, "/a"))).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        }
        assert!(provider.upstream.requests().is_empty());
        assert_eq!(app.anonymous().connection(&keys).await.data("/connection/calls"), 0);
    })
    .await;
}

#[tokio::test]
async fn seven_methods_are_passed_on_and_preflights_are_answered() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        provider.upstream.reply_by(|_| raw("200 OK", "allow: GET\r\n", ""));
        let app = provider.app(database).await;
        let keys = app.anonymous().connect("token").await;
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        for (sent, method) in methods.iter().enumerate() {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let (status, headers, _) =
                app.request(without_body(request(method.clone(), &keys, "/"))).await;
            assert_eq!(
                (status.as_u16(), &headers["allow"]),
                (200, &"GET".parse().expect("a value"))
            );
            let line = format!("{method} /v1/ HTTP/1.1\r\n");
            assert!(provider.upstream.requests()[sent].starts_with(&line), "{line}");
        }
        let preflight = Request::options(format!("/connections/{}/proxy/a", keys.reference))
            .header("Origin", "http://localhost:3000")
            .header("Access-Control-Request-Method", "PUT")
            .header("Access-Control-Request-Headers", "connection-secret, x-any");
        let (status, headers, _) = app.request(without_body(preflight)).await;
        assert_eq!(status, StatusCode::OK);
        let text =
            |headers: &HeaderMap, name: &str| headers[name].to_str().expect("text").to_owned();
        assert_eq!(text(&headers, "access-control-allow-origin"), "http://localhost:3000");
        assert!(text(&headers, "access-control-allow-methods").contains("PUT"));
        assert_eq!(text(&headers, "access-control-allow-headers"), "connection-secret, x-any");
        assert_eq!(provider.upstream.requests().len(), methods.len());
        let get = request(Method::GET, &keys, "/a").header("Origin", "http://localhost:3000");
        let (_, headers, _) = app.request(without_body(get)).await;
        assert_eq!(text(&headers, "access-control-allow-origin"), "http://localhost:3000");
    })
    .await;
}

#[tokio::test]
async fn redirects_come_back_and_are_not_followed() {
    on_each_shared_database(async |database| {
        let (provider, canary) = (FakeProvider::start().await, Upstream::start().await);
        let app = provider.app(database).await;
        let keys = app.anonymous().connect("hidden-token").await;
        let own = provider.upstream.url.clone();
        for (location, is_shown) in [
            ("/again".to_owned(), true),
            (format!("{own}/v1/other?page=2"), true),
            (format!("{}/file?signature=x", canary.url), true),
            (format!("{}/?token=hidden-token", canary.url), false),
            (format!("{}/?token=hidden%2Dtoken", canary.url), false),
            (canary.url.replace("http://", "http://user:password@"), false),
            ("javascript:alert(1)".to_owned(), false),
        ] {
            let reply = raw("302 Found", &format!("location: {location}\r\n"), "moved");
            provider.upstream.reply_with([reply]);
            let (status, headers, body) =
                app.request(without_body(request(Method::GET, &keys, "/a"))).await;
            assert_eq!((status.as_u16(), &body[..]), (302, &b"moved"[..]), "{location}");
            let shown = headers.get("location").map(|value| value.to_str().expect("text"));
            assert_eq!(shown, is_shown.then_some(&*location));
        }
        assert!(canary.requests().is_empty());
        assert_eq!(provider.upstream.requests().len(), 7);
    })
    .await;
}

#[tokio::test]
async fn providers_that_fail_are_errors_in_time() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let app = provider.app(database).await;
        let keys = app.anonymous().connect("token").await;
        let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nx".to_owned();
        for (reply, status, error) in [
            (Reply::Raw("nonsense\r\n\r\n".into()), 502, "UPSTREAM_UNAVAILABLE"),
            (Reply::Reset, 502, "UPSTREAM_UNAVAILABLE"),
            (raw("101 Switching Protocols", "upgrade: x\r\n", ""), 502, "UPSTREAM_UNAVAILABLE"),
            (Reply::Raw(huge), 502, "RESPONSE_TOO_LARGE"),
            (Reply::Hang, 504, "UPSTREAM_TIMEOUT"),
            (Reply::Drip("HTTP/1.1 200 OK\r\nx-slow".into()), 504, "UPSTREAM_TIMEOUT"),
        ] {
            provider.upstream.reply_with([reply]);
            let sent = app.request(without_body(request(Method::POST, &keys, "/a")));
            let (found, headers, body) = app.receive_while_time_passes(sent).await;
            assert_eq!((found.as_u16(), &*code(&body)), (status, error));
            assert!(!headers.contains_key("connection-provider"));
        }
        assert_eq!(provider.upstream.requests().len(), 6, "each is sent once");
        for (reply, error) in [
            (
                Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".into()),
                "UPSTREAM_UNAVAILABLE",
            ),
            (Reply::Drip("HTTP/1.1 200 OK\r\n\r\nbytes".into()), "UPSTREAM_TIMEOUT"),
        ] {
            // The log is sorted by time.
            app.clock.advance(Duration::from_secs(1));
            provider.upstream.reply_with([reply]);
            let read = broken_body(&app, without_body(request(Method::GET, &keys, "/a")));
            app.receive_while_time_passes(read).await;
            let read = app.anonymous().connection(&keys).await;
            let entry = &read.nodes("/connection/callLog")[0];
            assert_eq!((&entry["status"], &entry["errorCode"]), (&json!(200), &json!(error)));
        }
        for status in ["401 Unauthorized", "503 Busy"] {
            provider.upstream.reply_with([raw(status, "", "{}")]);
            let (found, headers, _) =
                app.request(without_body(request(Method::GET, &keys, "/a"))).await;
            assert_eq!(found.as_str(), &status[..3]);
            assert!(headers.contains_key("connection-provider"), "the provider's own answer");
        }
    })
    .await;
}

/// Reads an answer whose head arrives and whose body breaks off.
async fn broken_body(app: &TestApp, request: Request<Body>) {
    use tower::ServiceExt;
    let answer = app.router().oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(axum::body::to_bytes(answer.into_body(), usize::MAX).await.is_err());
}

#[tokio::test]
async fn calls_by_the_proxy_count_towards_the_limit() {
    let provider = FakeProvider::start().await;
    provider.upstream.reply_by(|_| raw("200 OK", "", ""));
    let settings =
        provider.settings(&[("LIMITS_SCALE", "0.01"), ("LIMIT_CALLS_PER_CONNECTION", "100")]);
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    let keys = app.anonymous().connect("token").await;
    let (status, _, _) = app.request(without_body(request(Method::GET, &keys, "/"))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, headers, body) = app.request(without_body(request(Method::GET, &keys, "/"))).await;
    assert_eq!((status.as_u16(), &*code(&body)), (429, "RATE_LIMITED"));
    assert_eq!(headers["retry-after"], "60");
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_a_request_without_a_body_repeated() {
    on_each_shared_database(async |database| {
        let provider = FakeProvider::start().await;
        let tokens = FakeTokens::serve(&provider.upstream);
        let app = provider.app(database).await;
        let keys = app.anonymous().connect_oauth(json!({})).await;
        let get = async || {
            let (status, _, body) =
                app.request(without_body(request(Method::DELETE, &keys, "/things/1"))).await;
            (status.as_u16(), body)
        };
        assert_eq!(get().await, (200, b"{\"ok\":true}".to_vec()));
        assert_eq!(access_tokens_used(&provider.upstream), ["access-0", "access-1"]);

        // The provider has read the body, which is gone: its answer is the result, and the next request works.
        tokens.forget_access_tokens();
        app.clock.advance(MIN_TOKEN_AGE);
        let post = async || {
            let post = request(Method::POST, &keys, "/things").header("Content-Length", "1");
            let (status, ..) = app.request(post.body(Body::from("a")).expect("a request")).await;
            status.as_u16()
        };
        assert_eq!((post().await, post().await), (401, 200));
        assert_eq!(tokens.refresh_tokens(), ["refresh-0", "refresh-1"]);

        let read = app.anonymous().connection(&keys).await;
        let attempts: Vec<_> =
            read.nodes("/connection/callLog").iter().map(|call| &call["attempts"]).collect();
        let twice = attempts.iter().filter(|attempts| ***attempts == 2).count();
        assert_eq!((attempts.len(), twice), (3, 1));
    })
    .await;
}
