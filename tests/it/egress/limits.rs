//! Limits of calls: time by our clock, and the size of what comes out of decompression.

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

const MEGABYTE: usize = 1 << 20;

/// 256 KiB of gzip that become 40 MiB of zeros: a literal 0 and a very long run of "repeat the last byte 258 times" in
/// the fixed code of Deflate (RFC 1951, section 3.2.6).
fn gzip_bomb() -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    const BLOCK_AND_LITERAL: [u8; 11] = [0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    const REPEAT: [u8; 13] = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let bits = BLOCK_AND_LITERAL.into_iter().chain(REPEAT.into_iter().cycle());
    let bits: Vec<u8> = bits.take(256 * 1024 * 8).collect();
    let bytes = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit));
    HEADER.into_iter().chain(bytes).collect()
}

/// A server with a bomb at /bomb and a short text elsewhere, compressed on demand.
async fn compressing_server() -> Server {
    let bomb = async || ([(CONTENT_ENCODING, "gzip")], gzip_bomb());
    let text = async || "text ".repeat(100);
    let router = Router::new().route("/bomb", axum::routing::get(bomb)).fallback(text);
    Server::start(router.layer(CompressionLayer::new())).await
}

#[tokio::test]
async fn a_decompression_bomb_stops_at_the_limit() {
    let (outbound, _) = outbound();
    let server = compressing_server().await;
    let policy = EgressPolicy { max_response_bytes: MEGABYTE, ..loopback_policy() };
    let url = format!("http://a.example:{}", server.port);
    let result = outbound.call(get(format!("{url}/bomb")), &policy).await;
    assert!(matches!(result, Err(OutboundError::TooLarge)), "{result:?}");
    let text = outbound.call(get(&url), &policy).await.expect("a response");
    assert_eq!(text.body, "text ".repeat(100).as_bytes());
    assert!(!text.headers.contains_key(CONTENT_ENCODING), "it was decompressed");
    let exact = EgressPolicy { max_response_bytes: 500, ..loopback_policy() };
    assert_eq!(text_of(&outbound, get(&url), &exact).await.len(), 500);
    let short = EgressPolicy { max_response_bytes: 499, ..loopback_policy() };
    let result = outbound.call(get(&url), &short).await;
    assert!(matches!(result, Err(OutboundError::TooLarge)), "{result:?}");
}

#[tokio::test]
async fn streams_pass_compressed_bodies_on() {
    let (outbound, _) = outbound();
    let server = compressing_server().await;
    let request = || {
        get(format!("http://a.example:{}/", server.port))
            .header(reqwest::header::ACCEPT_ENCODING, "gzip".parse().expect("a value"))
    };
    let policy = loopback_policy();
    let mut response = outbound.stream(request(), &policy).await.expect("a response");
    assert_eq!(response.headers[CONTENT_ENCODING], "gzip");
    let chunk = response.body.next().await.expect("a chunk").expect("bytes");
    assert_eq!(chunk[..2], [0x1f, 0x8b], "the mark of gzip");
    // Nothing is asked for that the caller did not ask for.
    let plain = get(format!("http://a.example:{}/", server.port));
    let response = outbound.stream(plain, &policy).await.expect("a response");
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
