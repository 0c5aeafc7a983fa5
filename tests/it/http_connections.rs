//! HTTP connections: timeouts of each part of a request, the limit of connections, and shutdown.
//!
//! The clients here have no timeouts: a connection that is closed was closed by the server.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use switchboard::app::App;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::raw_connection::{LIVENESS_REQUEST, RawConnection, RawResponse, TestServer};
use crate::support::upstream::{Reply, Upstream};
use crate::support::{TestApp, TestDatabase, empty_request, query};

const INCOMPLETE_HEAD: &str = "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ";
const INCOMPLETE_BODY: &str = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"query\":";
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn connections_with_an_incomplete_head_are_closed() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    let incomplete_requests: [&[u8]; 6] = [
        b"",
        b"G",
        b"PRI * HTTP/2.0\r\n",
        HTTP2_PREFACE,
        INCOMPLETE_HEAD.as_bytes(),
        &[LIVENESS_REQUEST.as_bytes(), INCOMPLETE_HEAD.as_bytes()].concat(),
    ];
    for incomplete in incomplete_requests {
        let mut connection = server.connect().await;
        connection.write(incomplete).await;
        let head = String::from_utf8_lossy(incomplete).into_owned();
        assert!(server.is_alive().await, "{head}");
        let rest = app.while_time_passes(connection.read_to_end()).await;
        let has_response = rest.starts_with(b"HTTP/1.1 200 ");
        assert_eq!(has_response, incomplete.starts_with(LIVENESS_REQUEST.as_bytes()), "{head}");
    }
    assert!(server.is_alive().await);
}

#[tokio::test]
async fn a_slow_head_is_closed_while_other_connections_are_served() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    for requests_before in 0..2 {
        let mut slow = server.connect().await;
        for _ in 0..requests_before {
            slow.write(LIVENESS_REQUEST).await;
            assert!(slow.read_response().await.is_some());
        }
        slow.write(INCOMPLETE_HEAD).await;
        let mut seconds = 0;
        while !slow.is_closed() {
            assert!(seconds < 30, "the connection is still open");
            slow.write("x").await;
            assert!(server.is_alive().await);
            app.clock.advance(Duration::from_secs(3));
            seconds += 3;
        }
    }
}

#[tokio::test]
async fn keep_alive_connections_are_closed_when_idle_for_too_long() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    let mut connection = server.connect().await;
    for _ in 0..5 {
        connection.write(LIVENESS_REQUEST).await;
        assert_eq!(connection.read_response().await.expect("a response").status, StatusCode::OK);
        app.clock.advance(Duration::from_mins(1));
        assert!(server.is_alive().await);
    }
    assert!(app.while_time_passes(connection.read_to_end()).await.is_empty());
}

#[track_caller]
fn assert_error(response: &RawResponse, status: u16, code: &str) {
    assert_eq!(response.status, status, "{response:?}");
    let error = &response.json()["errors"][0];
    assert_eq!(error["extensions"]["code"], code);
    let id = response.headers["x-request-id"].to_str().expect("text");
    assert_eq!(error["extensions"]["requestId"], id);
    assert!(error["message"].is_string());
}

#[tokio::test]
async fn a_stalled_body_gets_status_408() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    let mut connection = server.connect().await;
    connection.write(INCOMPLETE_BODY).await;
    assert!(server.is_alive().await);
    let response = app.while_time_passes(connection.read_response()).await.expect("a response");
    assert_error(&response, 408, "BAD_REQUEST");
    assert!(connection.read_to_end().await.is_empty(), "the connection is closed");
}

/// A request whose body is sent in parts, and the task that waits for the status of its response.
fn send_in_parts(
    app: &TestApp,
) -> (mpsc::Sender<Result<Bytes, std::io::Error>>, JoinHandle<StatusCode>) {
    let (parts, body) = mpsc::channel(1);
    let mut request = empty_request(Method::POST, "/graphql");
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, "application/json".parse().expect("a header value"));
    *request.body_mut() = Body::from_stream(ReceiverStream::new(body));
    let app = app.clone();
    (parts, tokio::spawn(async move { app.request(request).await.0 }))
}

/// Sends a part, moves the clock after it was read, and returns whether the server still waits for more.
async fn still_waits(
    parts: &mpsc::Sender<Result<Bytes, std::io::Error>>,
    response: &JoinHandle<StatusCode>,
    app: &TestApp,
    seconds: u64,
) -> bool {
    parts.send(Ok(Bytes::from_static(b" "))).await.expect("it is read");
    // The channel has capacity again once the part was read.
    drop(parts.reserve().await);
    app.clock.advance(Duration::from_secs(seconds));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    !response.is_finished()
}

#[tokio::test]
async fn pauses_and_the_total_time_of_a_body_are_limited() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let (parts, response) = send_in_parts(&app);
    assert!(still_waits(&parts, &response, &app, 9).await);
    assert!(!still_waits(&parts, &response, &app, 10).await, "a pause of ten seconds");
    assert_eq!(response.await.expect("a response"), StatusCode::REQUEST_TIMEOUT);

    let (parts, response) = send_in_parts(&app);
    for _ in 0..6 {
        assert!(still_waits(&parts, &response, &app, 9).await);
    }
    assert!(!still_waits(&parts, &response, &app, 9).await, "more than a minute");
    assert_eq!(response.await.expect("a response"), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn an_invalid_body_gets_status_400_and_a_large_one_413() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve().await;
    let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let mut connection = server.connect().await;
    connection.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcdef\r\n")).await;
    assert_error(&connection.read_response().await.expect("a response"), 400, "BAD_REQUEST");
    let mut connection = server.connect().await;
    connection
        .write(format!("{head}Content-Length: 1048577\r\n\r\n{}", "x".repeat(1_048_577)))
        .await;
    assert_error(&connection.read_response().await.expect("a response"), 413, "BAD_REQUEST");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let app = TestApp::with(&TestDatabase::Memory, &[("MAX_CONNECTIONS", "2")]).await;
    let server = app.serve().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for connection in [&mut first, &mut second] {
        connection.write(LIVENESS_REQUEST).await;
        assert!(connection.read_response().await.is_some());
    }
    let mut third = server.connect().await;
    third.write(LIVENESS_REQUEST).await;
    let serve_second = async {
        for _ in 0..100 {
            second.write(LIVENESS_REQUEST).await;
            assert!(second.read_response().await.is_some());
        }
    };
    tokio::select! {
        response = third.read_response() => panic!("the limit was exceeded: {response:?}"),
        () = serve_second => {}
    }
    drop(first);
    assert!(third.read_response().await.is_some());
}

/// More than the system buffers for a client that does not read.
const LARGE_BODY_LEN: usize = 8 * PART_LEN;
const PART_LEN: usize = 16 << 20;

/// Routes with a large response, an upgraded connection that echoes, and a liveness check.
fn routes(app: &TestApp) -> Router {
    let echo = |app: Arc<App>| {
        move |request: Request| async move {
            let upgrade = hyper::upgrade::on(request);
            app.tasks.spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.expect("it is upgraded"));
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    stream.write_all(&byte).await.expect("written");
                }
            });
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let response = response.header("connection", "upgrade").header("upgrade", "echo");
            response.body(Body::empty()).expect("a response")
        }
    };
    Router::new()
        .route("/large", get(async || vec![0; LARGE_BODY_LEN]))
        .route("/echo", get(echo(app.app.clone())))
        .route("/health/live", get(async || ()))
}

async fn upgrade_to_echo(connection: &mut RawConnection) {
    connection
        .write("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    let response = connection.read_response().await.expect("a response");
    assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
}

#[tokio::test]
async fn a_response_that_the_client_does_not_read_is_aborted() {
    let app = TestApp::with(&TestDatabase::Memory, &[("MAX_CONNECTIONS", "1")]).await;
    let server = app.serve_routes(routes(&app)).await;
    let mut connection = server.connect().await;
    connection.write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(connection.read_until(b"\r\n\r\n").await.is_some(), "the response starts");
    assert!(app.while_time_passes(server.is_alive()).await, "the connection limit is free again");
}

#[tokio::test]
async fn a_response_that_the_client_reads_slowly_arrives() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let server = app.serve_routes(routes(&app)).await;
    let mut connection = server.connect().await;
    connection.write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(connection.read_until(b"\r\n\r\n").await.is_some());
    for _ in 0..LARGE_BODY_LEN / PART_LEN {
        connection.read_exact(PART_LEN).await;
        app.clock.advance(Duration::from_secs(20));
        assert!(server.is_alive().await);
    }
    connection.write(LIVENESS_REQUEST).await;
    assert!(
        connection.read_response().await.is_some(),
        "the idle timeout starts after the response"
    );
}

#[tokio::test]
async fn a_streamed_response_has_no_time_limit() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let (parts, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let stream = move || {
        let body = body.lock().expect("not poisoned").take().expect("one request");
        async { Body::from_stream(ReceiverStream::new(body)) }
    };
    let server = app.serve_routes(Router::new().route("/", get(stream))).await;
    let mut connection = server.connect().await;
    connection.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for part in ["one", "two", "three"] {
        parts.send(Ok(Bytes::from_static(part.as_bytes()))).await.expect("the response is read");
        assert!(connection.read_until(part.as_bytes()).await.is_some());
        app.clock.advance(Duration::from_hours(1));
    }
}

#[tokio::test]
async fn an_upgraded_connection_counts_for_the_limit_and_has_no_timeout() {
    let app = TestApp::with(&TestDatabase::Memory, &[("MAX_CONNECTIONS", "1")]).await;
    let mut server = app.serve_routes(routes(&app)).await;
    let mut connection = server.connect().await;
    upgrade_to_echo(&mut connection).await;
    for byte in [b"a", b"b", b"c"] {
        app.clock.advance(Duration::from_hours(1));
        connection.write(byte).await;
        assert!(connection.read_until(byte).await.is_some());
    }
    let echoing = async {
        for _ in 0..100 {
            connection.write("x").await;
            assert!(connection.read_until(b"x").await.is_some());
        }
    };
    tokio::select! {
        _ = server.is_alive() => panic!("the limit was exceeded"),
        () = echoing => {}
    }
    app.app.stopping.cancel();
    connection.write("x").await;
    assert!(
        connection.read_until(b"x").await.is_some(),
        "the handler of the connection decides when to close it"
    );
    assert!(!server.ended.is_finished());
    drop(connection);
    (&mut server.ended).await.expect("a clean shutdown");
}

#[tokio::test]
async fn at_shutdown_running_requests_get_responses_and_incomplete_ones_are_dropped() {
    let upstream = Upstream::start().await;
    let settings =
        [("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", upstream.url.as_str())];
    let app = TestApp::with(&TestDatabase::Memory, &settings).await;
    let release = Arc::new(Notify::new());
    upstream.reply_with([Reply::Held(release.clone(), Value::Null), Reply::Json(500, Value::Null)]);
    let token = app.signed_in("ann").await.token.expect("signed in");
    let server = app.serve().await;

    let mut running = server.connect().await;
    let input = json!({ "input": { "name": "Bob", "phone": "+31687654321" } });
    let body = json!({ "query": query!("add_contact"), "variables": input }).to_string();
    let length = body.len();
    running.write(format!("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    upstream.wait_for_requests(1).await;

    let mut idle = server.connect().await;
    idle.write(LIVENESS_REQUEST).await;
    assert!(idle.read_response().await.is_some());
    let mut incomplete_connections = Vec::new();
    for incomplete in ["", "G", INCOMPLETE_HEAD, INCOMPLETE_BODY] {
        let mut connection = server.connect().await;
        connection.write(incomplete).await;
        incomplete_connections.push((incomplete, connection));
        assert!(server.is_alive().await);
    }
    app.app.stopping.cancel();
    assert!(idle.read_to_end().await.is_empty());
    for (incomplete, mut connection) in incomplete_connections {
        if incomplete == INCOMPLETE_BODY {
            let response = connection.read_response().await.expect("a response");
            assert_error(&response, 503, "SERVICE_UNAVAILABLE");
            assert_eq!(response.headers["retry-after"], "1");
        }
        assert!(connection.read_to_end().await.is_empty(), "{incomplete}");
    }
    assert!(!server.ended.is_finished());
    release.notify_one();
    let response = running.read_response().await.expect("a response");
    assert_eq!(
        (response.status, &response.headers["connection"]),
        (StatusCode::OK, &"close".parse().expect("a header value"))
    );
    server.ended.await.expect("a clean shutdown");
}

/// `GET /` in HTTP/2 (RFC 9113, section 6.2), with fields of the static table (RFC 7541).
const HTTP2_GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";

/// The header of the frame of response headers, without its length.
const HTTP2_HEADERS: &[u8] = b"\x01\x04\0\0\0\x01";

#[tokio::test]
async fn a_silent_http2_client_is_disconnected() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let endless = get(async || Body::from_stream(futures_util::stream::once(never_ready())));
    let server = app.serve_routes(Router::new().route("/", endless)).await;
    let mut connection = server.connect().await;
    connection.write([HTTP2_PREFACE, HTTP2_GET].concat()).await;
    assert!(connection.read_until(HTTP2_HEADERS).await.is_some(), "the response starts");
    app.while_time_passes(connection.read_to_end()).await;
}

async fn never_ready() -> Result<Bytes, std::io::Error> {
    std::future::pending().await
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn get_version(
    client: &mut Option<reqwest::Client>,
    server: &TestServer,
) -> reqwest::Version {
    let client = client.get_or_insert_with(|| {
        reqwest::Client::builder().http2_prior_knowledge().build().expect("a client")
    });
    let response = client.get(format!("http://{}/health/live", server.address)).send().await;
    response.expect("a response").version()
}

#[tokio::test]
async fn http2_connections_may_be_idle_and_end_at_shutdown() {
    let app = TestApp::with(&TestDatabase::Memory, &[("MAX_CONNECTIONS", "1")]).await;
    let server = app.serve().await;
    let mut first_client = None;
    for _ in 0..5 {
        assert_eq!(get_version(&mut first_client, &server).await, reqwest::Version::HTTP_2);
        app.clock.advance(Duration::from_mins(1));
    }
    let mut second_client = None;
    app.while_time_passes(get_version(&mut second_client, &server)).await;
    app.app.stopping.cancel();
    server.ended.await.expect("a clean shutdown with a connected client");
}

#[tokio::test]
async fn shutdown_has_a_time_limit() {
    let app = TestApp::new(&TestDatabase::Memory).await;
    let mut server = app.serve_routes(routes(&app)).await;
    let mut connection = server.connect().await;
    upgrade_to_echo(&mut connection).await;
    app.app.stopping.cancel();
    app.while_time_passes(&mut server.ended).await.expect("a clean shutdown");
}
