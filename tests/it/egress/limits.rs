//! Limits of calls: time by our clock, and size.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use reqwest::header::CONTENT_ENCODING;
use switchboard::platform::outbound::{EgressPolicy, OutboundError};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower_http::compression::CompressionLayer;

use super::{Server, get, loopback_policy, outbound, text_of};

/// A server with a short text, compressed for callers that take it.
async fn compressing_server() -> Server {
    let text = async || "text ".repeat(100);
    Server::start(Router::new().fallback(text).layer(CompressionLayer::new())).await
}

#[tokio::test]
async fn a_longer_body_is_refused() {
    let (outbound, _) = outbound();
    let server = compressing_server().await;
    let url = format!("http://a.example:{}", server.port);
    let exact = EgressPolicy { max_response_bytes: 500, ..loopback_policy() };
    assert_eq!(text_of(&outbound, get(&url), &exact).await, "text ".repeat(100));
    let short = EgressPolicy { max_response_bytes: 499, ..loopback_policy() };
    let result = outbound.call(get(&url), &short).await;
    assert!(matches!(result, Err(OutboundError::TooLarge)), "{result:?}");
}

#[tokio::test]
async fn compressed_bodies_are_passed_on_and_never_asked_for() {
    let (outbound, _) = outbound();
    let server = compressing_server().await;
    let plain = || get(format!("http://a.example:{}/", server.port));
    let request =
        || plain().header(reqwest::header::ACCEPT_ENCODING, "gzip".parse().expect("a value"));
    let policy = loopback_policy();
    let mark_of_gzip = [0x1f, 0x8b];
    let mut response = outbound.stream(request(), &policy).await.expect("a response");
    assert_eq!(response.headers[CONTENT_ENCODING], "gzip");
    let chunk = response.body.next().await.expect("a chunk").expect("bytes");
    assert_eq!(chunk[..2], mark_of_gzip);
    let response = outbound.call(request(), &policy).await.expect("a response");
    assert_eq!(response.body[..2], mark_of_gzip);

    let response = outbound.stream(plain(), &policy).await.expect("a response");
    assert!(!response.headers.contains_key(CONTENT_ENCODING));
    let response = outbound.call(plain(), &policy).await.expect("a response");
    assert!(!response.headers.contains_key(CONTENT_ENCODING));
}

#[tokio::test]
async fn a_body_that_trickles_does_not_prolong_a_call() {
    let (outbound, clock) = outbound();
    let (send, receive) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let body = Arc::new(Mutex::new(Some(UnboundedReceiverStream::new(receive))));
    let begun = Arc::new(Notify::new());
    let has_begun = begun.clone();
    let trickle = async move || {
        has_begun.notify_one();
        Body::from_stream(body.lock().take().expect("one request"))
    };
    let server = Server::start(Router::new().fallback(trickle)).await;
    let policy = EgressPolicy { timeout: Duration::from_secs(10), ..loopback_policy() };
    let request = get(format!("http://a.example:{}/", server.port));
    let mut call = Box::pin(outbound.call(request, &policy));
    tokio::select! {
        () = begun.notified() => {}
        result = &mut call => panic!("{result:?}"),
    }
    for _ in 0..9 {
        send.send(Ok(Bytes::from_static(b"."))).expect("received");
        assert!((&mut call).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
    }
    assert!((&mut call).now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert!(matches!(call.await, Err(OutboundError::Timeout)));
}
