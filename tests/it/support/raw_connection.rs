//! A TCP client that writes arbitrary bytes to the server at any pace, and reads raw responses.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::TestApp;

/// A test that takes longer fails.
const TIMEOUT: Duration = Duration::from_mins(1);

impl TestApp {
    /// Serves the app on loopback, like the binary.
    pub async fn serve(&self) -> TestServer {
        self.serve_routes(self.router()).await
    }

    /// Serves other routes on loopback.
    pub async fn serve_routes(&self, router: Router) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let ended = tokio::spawn(switchboard::server::serve(listener, router, self.app.clone()));
        TestServer { address, ended }
    }

    /// Waits for the output of a future. Whenever the app is idle, the clock moves by half a second.
    pub async fn receive_while_time_passes<T>(&self, received: impl Future<Output = T>) -> T {
        const IDLE_YIELDS: usize = 1_000;
        let mut received = pin!(received);
        loop {
            let idle = async {
                for _ in 0..IDLE_YIELDS {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                received = &mut received => return received,
                () = idle => self.clock.advance(Duration::from_millis(500)),
            }
        }
    }

    /// Moves the clock second by second until the future ends. One big step is not enough, because a timer may be set
    /// after it.
    #[expect(clippy::disallowed_methods, reason = "a broken program fails a test, not hangs it")]
    pub async fn while_time_passes<T>(&self, future: impl Future<Output = T>) -> T {
        let pass_time = async {
            loop {
                self.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        let output = async {
            tokio::select! {
                output = future => output,
                () = pass_time => unreachable!("time never ends"),
            }
        };
        tokio::time::timeout(TIMEOUT, output).await.expect("the future ends in time")
    }
}

/// The app, listening on loopback.
pub struct TestServer {
    pub address: SocketAddr,
    /// Completes when the server has shut down.
    pub ended: JoinHandle<()>,
}

impl TestServer {
    pub async fn connect(&self) -> RawConnection {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        RawConnection { stream, received: Vec::new() }
    }

    /// Whether a liveness request on a new connection succeeds.
    pub async fn is_alive(&self) -> bool {
        let mut connection = self.connect().await;
        connection.write(LIVENESS_REQUEST).await;
        connection.read_response().await.expect("a response").status == StatusCode::OK
    }
}

/// A complete HTTP request.
pub const LIVENESS_REQUEST: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// A TCP connection to the server.
pub struct RawConnection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An HTTP response.
#[derive(Debug)]
pub struct RawResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl RawResponse {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl RawConnection {
    /// Writes; errors are ignored, because reading reveals a closed connection.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads more bytes. False at the end.
    async fn read_more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.received).await, Ok(count) if count > 0)
    }

    /// Everything until the connection is closed.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.received)
    }

    /// Whether the connection is known to be closed.
    pub fn is_closed(&mut self) -> bool {
        self.read_to_end().now_or_never().is_some()
    }

    /// Reads up to and including these bytes. `None` when the connection ends before.
    pub async fn read_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let position = self.received.windows(end.len()).position(|window| window == end);
            if let Some(start) = position {
                return Some(self.received.drain(..start + end.len()).collect());
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// Reads `count` bytes.
    pub async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            assert!(self.read_more().await, "the connection ends too soon");
        }
        self.received.drain(..count).collect()
    }

    /// The next response, which must have a length or a chunked body. `None` when the connection is closed.
    pub async fn read_response(&mut self) -> Option<RawResponse> {
        let head = String::from_utf8(self.read_until(b"\r\n\r\n").await?).expect("text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let headers: HeaderMap = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
                (name, HeaderValue::from_str(value).expect("a value"))
            })
            .collect();
        let status = status.parse().expect("a status");
        if headers.contains_key("transfer-encoding") {
            let body = self.read_chunked_body().await;
            return Some(RawResponse { status, headers, body });
        }
        let length = headers.get("content-length").map_or("0", |text| text.to_str().expect("text"));
        let length: usize = length.parse().expect("a number");
        let body = self.read_exact(length).await;
        Some(RawResponse { status, headers, body })
    }

    /// A chunked body (RFC 9112, section 7.1).
    async fn read_chunked_body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.read_until(b"\r\n").await.expect("the size of a chunk");
            let size = std::str::from_utf8(&size).expect("text").trim();
            let size = usize::from_str_radix(size, 16).expect("a number");
            body.extend(self.read_exact(size).await);
            self.read_exact(2).await;
            if size == 0 {
                return body;
            }
        }
    }
}
