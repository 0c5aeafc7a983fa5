//! Streams: bodies in both directions, idle time-outs, size limits, cancellation and hop-by-hop headers.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body as AxumBody, Bytes};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use switchboard::platform::outbound::{Body, EgressPolicy, OutboundError, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use url::Url;

use super::{Server, get, loopback_policy, outbound};

const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

fn policy() -> EgressPolicy {
    EgressPolicy { idle_timeout: IDLE_TIMEOUT, timeout: IDLE_TIMEOUT, ..loopback_policy() }
}

/// Accepts one connection and reads the head of its request.
async fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("a byte"));
    }
    (connection, String::from_utf8(head).expect("text"))
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://a.example:{}/", listener.local_addr().expect("an address").port());
    (listener, url)
}

#[tokio::test]
async fn a_body_that_trickles_times_out_by_our_clock() {
    let (outbound, clock) = outbound();
    let (listener, url) = listen().await;
    let policy = policy();
    let server = async {
        let (mut connection, _) = accept(&listener).await;
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst").await.expect("written");
        connection
    };
    let (mut connection, response) = tokio::join!(server, outbound.stream(get(url), &policy));
    let mut body = response.expect("a response").body;
    assert_eq!(body.next().await.expect("a chunk").expect("bytes"), "first");
    // Each part begins the time-out again.
    for _ in 0..2 {
        let mut next = body.next();
        assert!((&mut next).now_or_never().is_none());
        clock.advance(IDLE_TIMEOUT.mul_f32(0.9));
        assert!((&mut next).now_or_never().is_none());
        connection.write_all(b"more").await.expect("written");
        assert_eq!(next.await.expect("a chunk").expect("bytes"), "more");
    }
    let mut next = body.next();
    assert!((&mut next).now_or_never().is_none());
    clock.advance(IDLE_TIMEOUT);
    assert!(matches!(next.await, Some(Err(OutboundError::Timeout))));
    assert!(body.next().await.is_none());
    assert_eq!(connection.read(&mut [0]).await.expect("an end"), 0, "the connection is closed");
}

#[tokio::test]
async fn dropping_a_stream_closes_the_connection() {
    let (outbound, _) = outbound();
    let (listener, url) = listen().await;
    let policy = policy();
    let endless = async {
        let (mut connection, _) = accept(&listener).await;
        connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
        while connection.write_all(&[0; 4096]).await.is_ok() {}
    };
    let client = async {
        let mut body = outbound.stream(get(&url), &policy).await.expect("a response").body;
        body.next().await.expect("a chunk").expect("bytes");
    };
    tokio::join!(endless, client);
    // Before the head.
    let mut waiting = Box::pin(outbound.stream(get(&url), &policy));
    let (mut connection, _) = tokio::select! {
        accepted = accept(&listener) => accepted,
        _ = &mut waiting => panic!("a response"),
    };
    drop(waiting);
    assert_eq!(connection.read(&mut [0]).await.expect("an end"), 0);
}

#[tokio::test]
async fn streams_end_at_their_size_limit() {
    let (outbound, _) = outbound();
    let chunked = async || {
        let parts = stream::iter([Ok::<_, Infallible>("12345"), Ok("67890")]);
        AxumBody::from_stream(parts)
    };
    let router = Router::new()
        .route("/whole", axum::routing::get(async || "1234567890"))
        .route("/chunked", axum::routing::get(chunked));
    let server = Server::start(router).await;
    let stream = async |path: &str, max_response_bytes| {
        let policy = EgressPolicy { max_response_bytes, ..policy() };
        let request = get(format!("http://a.example:{}/{path}", server.port));
        let response = outbound.stream(request, &policy).await?;
        let parts: Vec<Bytes> = response.body.try_collect().await?;
        Ok::<_, OutboundError>(parts.concat())
    };
    for path in ["whole", "chunked"] {
        assert_eq!(stream(path, 10).await.expect("a body"), b"1234567890", "{path}");
        assert!(matches!(stream(path, 9).await, Err(OutboundError::TooLarge)), "{path}");
    }
}

#[tokio::test]
async fn hop_by_hop_headers_are_not_passed_on() {
    let (outbound, _) = outbound();
    let (listener, url) = listen().await;
    let server = async {
        let (mut connection, head) = accept(&listener).await;
        let response = "HTTP/1.1 200 OK\r\nConnection: close, X-Internal\r\nX-Internal: 1\r\n\
            Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\n\
            X-Kept: 1\r\nContent-Length: 2\r\n\r\nok";
        connection.write_all(response.as_bytes()).await.expect("written");
        head
    };
    let mut request = get(&url);
    for (name, value) in [
        ("connection", "keep-alive, x-secret"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("host", "b.example"),
        ("content-length", "7"),
        ("x-kept", "1"),
    ] {
        let name = HeaderName::from_static(name);
        request = request.header(name, HeaderValue::from_static(value));
    }
    let policy = policy();
    let (head, response) = tokio::join!(server, outbound.stream(request, &policy));
    let mut names: Vec<_> =
        head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "host", "user-agent", "x-kept"], "{head}");
    assert!(head.contains("host: a.example:"), "{head}");
    let response = response.expect("a response");
    let names: Vec<_> = response.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-kept", "content-length"]);
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let (outbound, _) = outbound();
    let echo = async |body: AxumBody| body;
    let server = Server::start(Router::new().fallback(echo)).await;
    let url = Url::parse(&format!("http://a.example:{}/", server.port)).expect("a URL");
    let (send, receive) = mpsc::unbounded_channel::<io::Result<Bytes>>();
    let receive = UnboundedReceiverStream::new(receive);
    let request = Request::new(Method::POST, url).body(Body::Stream(receive.boxed()));
    let policy = policy();
    let mut body = outbound.stream(request, &policy).await.expect("a response").body;
    for part in ["one", "two", "three"] {
        send.send(Ok(Bytes::from_static(part.as_bytes()))).expect("received");
        assert_eq!(body.next().await.expect("a chunk").expect("bytes"), part);
    }
    drop(send);
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_slow_upload_does_not_time_out_while_it_progresses() {
    let (outbound, clock) = outbound();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let read = async move |body: AxumBody| {
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            arrived.send(part.expect("bytes")).expect("received");
        }
        "done"
    };
    let server = Server::start(Router::new().fallback(read)).await;
    let url = Url::parse(&format!("http://a.example:{}/", server.port)).expect("a URL");
    let (send, receive) = mpsc::unbounded_channel::<io::Result<Bytes>>();
    let receive = UnboundedReceiverStream::new(receive);
    let request = Request::new(Method::PUT, url).body(Body::Stream(receive.boxed()));
    let policy = policy();
    let mut upload = Box::pin(outbound.stream(request, &policy));
    for _ in 0..3 {
        let progress = async {
            send.send(Ok(Bytes::from_static(b"part"))).expect("received");
            arrivals.recv().await.expect("an arrival")
        };
        tokio::select! {
            part = progress => assert_eq!(part, "part"),
            _ = &mut upload => panic!("a response before the upload's end"),
        }
        assert!((&mut upload).now_or_never().is_none());
        clock.advance(IDLE_TIMEOUT.mul_f32(0.9));
        assert!((&mut upload).now_or_never().is_none());
    }
    clock.advance(IDLE_TIMEOUT);
    assert!(matches!(upload.await, Err(OutboundError::Timeout)));
}
