//! Connections: how long each part of a request may take, how many there may be, and how they end.
//!
//! The clock is the test's: what is closed was closed by the program, not by patience.

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

use crate::support::upstream::{Reply, Upstream};
use crate::support::wire::{LIVE, Serving, Wire, WireAnswer};
use crate::support::{Place, TestApp, bare, query};

const HALF_A_HEAD: &str = "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Slow: ";
const HALF_A_BODY: &str = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"query\":";
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_closed() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    let beginnings: [&[u8]; 6] = [
        b"",
        b"G",
        b"PRI * HTTP/2.0\r\n",
        HTTP2_PREFACE,
        HALF_A_HEAD.as_bytes(),
        &[LIVE.as_bytes(), HALF_A_HEAD.as_bytes()].concat(),
    ];
    for beginning in beginnings {
        let mut wire = serving.connect().await;
        wire.write(beginning).await;
        let told = String::from_utf8_lossy(beginning).into_owned();
        assert!(serving.lives().await, "{told}");
        let rest = app.while_time_passes(wire.rest()).await;
        let answered = rest.starts_with(b"HTTP/1.1 200 ");
        assert_eq!(answered, beginning.starts_with(LIVE.as_bytes()), "{told}");
    }
    assert!(serving.lives().await);
}

#[tokio::test]
async fn a_head_that_trickles_in_is_closed_while_others_are_served() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    for requests_before in 0..2 {
        let mut slow = serving.connect().await;
        for _ in 0..requests_before {
            slow.write(LIVE).await;
            assert!(slow.answer().await.is_some());
        }
        slow.write(HALF_A_HEAD).await;
        let mut seconds = 0;
        while !slow.is_closed() {
            assert!(seconds < 30, "it is still open");
            slow.write("x").await;
            assert!(serving.lives().await);
            app.clock.advance(Duration::from_secs(3));
            seconds += 3;
        }
    }
}

#[tokio::test]
async fn a_connection_may_pause_between_requests_and_not_for_ever() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    let mut wire = serving.connect().await;
    for _ in 0..5 {
        wire.write(LIVE).await;
        assert_eq!(wire.answer().await.expect("an answer").status, StatusCode::OK);
        app.clock.advance(Duration::from_mins(1));
        assert!(serving.lives().await);
    }
    assert!(app.while_time_passes(wire.rest()).await.is_empty());
}

#[track_caller]
fn is_refused(answer: &WireAnswer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.json()["errors"][0];
    assert_eq!(error["extensions"]["code"], code);
    let id = answer.headers["x-request-id"].to_str().expect("text");
    assert_eq!(error["extensions"]["requestId"], id);
    assert!(error["message"].is_string());
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    let mut wire = serving.connect().await;
    wire.write(HALF_A_BODY).await;
    assert!(serving.lives().await);
    let answer = app.while_time_passes(wire.answer()).await.expect("an answer");
    is_refused(&answer, 408, "BAD_REQUEST");
    assert!(wire.rest().await.is_empty(), "and the connection is closed");
}

/// A request whose body is sent part by part, and the status of its answer.
fn sending(app: &TestApp) -> (mpsc::Sender<Result<Bytes, std::io::Error>>, JoinHandle<StatusCode>) {
    let (parts, body) = mpsc::channel(1);
    let mut request = bare(Method::POST, "/graphql");
    request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().expect("good"));
    *request.body_mut() = Body::from_stream(ReceiverStream::new(body));
    let app = app.clone();
    (parts, tokio::spawn(async move { app.request(request).await.0 }))
}

/// Sends a part, and lets seconds pass when it has been taken. Whether there is an answer by then.
async fn goes_on(
    parts: &mpsc::Sender<Result<Bytes, std::io::Error>>,
    answering: &JoinHandle<StatusCode>,
    app: &TestApp,
    seconds: u64,
) -> bool {
    parts.send(Ok(Bytes::from_static(b" "))).await.expect("it is read");
    // There is room again when the part has been taken.
    drop(parts.reserve().await);
    app.clock.advance(Duration::from_secs(seconds));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    !answering.is_finished()
}

#[tokio::test]
async fn a_body_may_pause_and_take_its_time_and_both_end_in_408() {
    let app = TestApp::new(&Place::Memory).await;
    let (parts, answering) = sending(&app);
    assert!(goes_on(&parts, &answering, &app, 9).await);
    assert!(!goes_on(&parts, &answering, &app, 10).await, "a pause of ten seconds");
    assert_eq!(answering.await.expect("an answer"), StatusCode::REQUEST_TIMEOUT);

    let (parts, answering) = sending(&app);
    for _ in 0..6 {
        assert!(goes_on(&parts, &answering, &app, 9).await);
    }
    assert!(!goes_on(&parts, &answering, &app, 9).await, "more than a minute");
    assert_eq!(answering.await.expect("an answer"), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_is_badly_framed_is_answered_400_and_a_long_one_413() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve().await;
    let head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let mut wire = serving.connect().await;
    wire.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcdef\r\n")).await;
    is_refused(&wire.answer().await.expect("an answer"), 400, "BAD_REQUEST");
    let mut wire = serving.connect().await;
    wire.write(format!("{head}Content-Length: 1048577\r\n\r\n{}", "x".repeat(1_048_577))).await;
    is_refused(&wire.answer().await.expect("an answer"), 413, "BAD_REQUEST");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_until_one_is_free() {
    let app = TestApp::with(&Place::Memory, &[("MAX_CONNECTIONS", "2")]).await;
    let serving = app.serve().await;
    let (mut first, mut second) = (serving.connect().await, serving.connect().await);
    for wire in [&mut first, &mut second] {
        wire.write(LIVE).await;
        assert!(wire.answer().await.is_some());
    }
    let mut third = serving.connect().await;
    third.write(LIVE).await;
    let second_is_served = async {
        for _ in 0..100 {
            second.write(LIVE).await;
            assert!(second.answer().await.is_some());
        }
    };
    tokio::select! {
        answer = third.answer() => panic!("there is no room for it: {answer:?}"),
        () = second_is_served => {}
    }
    drop(first);
    assert!(third.answer().await.is_some());
}

/// More than the system keeps for a client that does not read.
const BIG: usize = 8 * PART;
const PART: usize = 16 << 20;

/// Routes that hold on to their clients.
fn routes(app: &TestApp) -> Router {
    let echo = |app: Arc<App>| {
        move |request: Request| async move {
            let upgrading = hyper::upgrade::on(request);
            app.tasks.spawn(async move {
                let mut stream = TokioIo::new(upgrading.await.expect("it is upgraded"));
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
        .route("/big", get(async || vec![0; BIG]))
        .route("/echo", get(echo(app.app.clone())))
        .route("/health/live", get(async || ()))
}

async fn upgraded(wire: &mut Wire) {
    wire.write("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    let answer = wire.answer().await.expect("an answer");
    assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let app = TestApp::with(&Place::Memory, &[("MAX_CONNECTIONS", "1")]).await;
    let serving = app.serve_routes(routes(&app)).await;
    let mut wire = serving.connect().await;
    wire.write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(wire.until(b"\r\n\r\n").await.is_some(), "the answer begins");
    assert!(app.while_time_passes(serving.lives()).await, "its place is free");
}

#[tokio::test]
async fn an_answer_that_is_taken_slowly_arrives() {
    let app = TestApp::new(&Place::Memory).await;
    let serving = app.serve_routes(routes(&app)).await;
    let mut wire = serving.connect().await;
    wire.write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(wire.until(b"\r\n\r\n").await.is_some());
    for _ in 0..BIG / PART {
        wire.take(PART).await;
        app.clock.advance(Duration::from_secs(20));
        assert!(serving.lives().await);
    }
    wire.write(LIVE).await;
    assert!(wire.answer().await.is_some(), "its pause only begins then");
}

#[tokio::test]
async fn an_answer_may_take_its_time() {
    let app = TestApp::new(&Place::Memory).await;
    let (parts, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let stream = move || {
        let body = body.lock().expect("not poisoned").take().expect("asked once");
        async { Body::from_stream(ReceiverStream::new(body)) }
    };
    let serving = app.serve_routes(Router::new().route("/", get(stream))).await;
    let mut wire = serving.connect().await;
    wire.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for part in ["one", "two", "three"] {
        parts.send(Ok(Bytes::from_static(part.as_bytes()))).await.expect("it goes on");
        assert!(wire.until(part.as_bytes()).await.is_some());
        app.clock.advance(Duration::from_hours(1));
    }
}

#[tokio::test]
async fn a_socket_keeps_its_place_and_no_limit_of_a_request_ends_it() {
    let app = TestApp::with(&Place::Memory, &[("MAX_CONNECTIONS", "1")]).await;
    let mut serving = app.serve_routes(routes(&app)).await;
    let mut wire = serving.connect().await;
    upgraded(&mut wire).await;
    for byte in [b"a", b"b", b"c"] {
        app.clock.advance(Duration::from_hours(1));
        wire.write(byte).await;
        assert!(wire.until(byte).await.is_some());
    }
    let echoing = async {
        for _ in 0..100 {
            wire.write("x").await;
            assert!(wire.until(b"x").await.is_some());
        }
    };
    tokio::select! {
        _ = serving.lives() => panic!("the socket has the only place"),
        () = echoing => {}
    }
    app.app.stopping.cancel();
    wire.write("x").await;
    assert!(wire.until(b"x").await.is_some(), "who serves the socket ends it");
    assert!(!serving.ended.is_finished());
    drop(wire);
    (&mut serving.ended).await.expect("it ends well");
}

#[tokio::test]
async fn when_it_stops_what_runs_is_answered_and_what_is_half_sent_is_not_waited_for() {
    let upstream = Upstream::start().await;
    let settings =
        [("MESSAGEBIRD_ACCESS_KEY", "live_key"), ("MESSAGEBIRD_BASE_URL", upstream.url.as_str())];
    let app = TestApp::with(&Place::Memory, &settings).await;
    let told = Arc::new(Notify::new());
    upstream.will([Reply::Held(told.clone(), Value::Null), Reply::Json(500, Value::Null)]);
    let token = app.signed_in("ann").await.token.expect("signed in");
    let serving = app.serve().await;

    let mut running = serving.connect().await;
    let input = json!({ "input": { "name": "Bob", "phone": "+31687654321" } });
    let body = json!({ "query": query!("add_contact"), "variables": input }).to_string();
    let length = body.len();
    running.write(format!("POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    upstream.has_got(1).await;

    let mut idle = serving.connect().await;
    idle.write(LIVE).await;
    assert!(idle.answer().await.is_some());
    let mut others = Vec::new();
    for beginning in ["", "G", HALF_A_HEAD, HALF_A_BODY] {
        let mut wire = serving.connect().await;
        wire.write(beginning).await;
        others.push((beginning, wire));
        assert!(serving.lives().await);
    }
    app.app.stopping.cancel();
    assert!(idle.rest().await.is_empty());
    for (beginning, mut wire) in others {
        if beginning == HALF_A_BODY {
            let answer = wire.answer().await.expect("an answer");
            is_refused(&answer, 503, "SERVICE_UNAVAILABLE");
            assert_eq!(answer.headers["retry-after"], "1");
        }
        assert!(wire.rest().await.is_empty(), "{beginning}");
    }
    assert!(!serving.ended.is_finished());
    told.notify_one();
    let answer = running.answer().await.expect("an answer");
    assert_eq!(
        (answer.status, &answer.headers["connection"]),
        (StatusCode::OK, &"close".parse().expect("good"))
    );
    serving.ended.await.expect("it ends well");
}

/// `GET /` as HTTP/2 sends it (RFC 9113, section 6.2): the static table of RFC 7541 has most of it.
const HTTP2_GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";

/// The head of an answer to it, without its length.
const HTTP2_HEADERS: &[u8] = b"\x01\x04\0\0\0\x01";

#[tokio::test]
async fn a_client_of_http2_that_is_not_there_any_more_is_given_up() {
    let app = TestApp::new(&Place::Memory).await;
    let endless = get(async || Body::from_stream(futures_util::stream::once(never())));
    let serving = app.serve_routes(Router::new().route("/", endless)).await;
    let mut wire = serving.connect().await;
    wire.write([HTTP2_PREFACE, HTTP2_GET].concat()).await;
    assert!(wire.until(HTTP2_HEADERS).await.is_some(), "the answer begins");
    app.while_time_passes(wire.rest()).await;
}

async fn never() -> Result<Bytes, std::io::Error> {
    std::future::pending().await
}

#[expect(clippy::disallowed_methods, reason = "the test is the client")]
async fn lives_by_http2(
    client: &mut Option<reqwest::Client>,
    serving: &Serving,
) -> reqwest::Version {
    let client = client.get_or_insert_with(|| {
        reqwest::Client::builder().http2_prior_knowledge().build().expect("a client")
    });
    let answer = client.get(format!("http://{}/health/live", serving.address)).send().await;
    answer.expect("an answer").version()
}

#[tokio::test]
async fn http2_is_served_may_pause_and_ends_when_it_stops() {
    let app = TestApp::with(&Place::Memory, &[("MAX_CONNECTIONS", "1")]).await;
    let serving = app.serve().await;
    let mut first = None;
    for _ in 0..5 {
        assert_eq!(lives_by_http2(&mut first, &serving).await, reqwest::Version::HTTP_2);
        app.clock.advance(Duration::from_mins(1));
    }
    let mut second = None;
    app.while_time_passes(lives_by_http2(&mut second, &serving)).await;
    app.app.stopping.cancel();
    serving.ended.await.expect("it ends well, with the client still there");
}

#[tokio::test]
async fn when_it_stops_it_does_not_wait_for_ever() {
    let app = TestApp::new(&Place::Memory).await;
    let mut serving = app.serve_routes(routes(&app)).await;
    let mut wire = serving.connect().await;
    upgraded(&mut wire).await;
    app.app.stopping.cancel();
    app.while_time_passes(&mut serving.ended).await.expect("it ends well");
}
