//! A client that writes whatever bytes it likes to a real socket, at whatever pace.

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

/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

impl TestApp {
    /// Serves on loopback, as the program does.
    pub async fn serve(&self) -> Serving {
        self.serve_routes(self.router.clone()).await
    }

    /// Serves other routes in the same way.
    pub async fn serve_routes(&self, router: Router) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let ended = tokio::spawn(switchboard::server::serve(listener, router, self.app.clone()));
        Serving { address, ended }
    }

    /// What a client is told, by which time ever: half a second passes whenever nothing else goes on.
    pub async fn told_in_time<T>(&self, told: impl Future<Output = T>) -> T {
        const A_WHILE: usize = 1_000;
        let mut told = pin!(told);
        loop {
            let nothing = async {
                for _ in 0..A_WHILE {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                told = &mut told => return told,
                () = nothing => self.clock.advance(Duration::from_millis(500)),
            }
        }
    }

    /// Lets seconds pass until something happens. They go on passing, because a timer that is set after
    /// the clock was moved only begins there.
    #[expect(clippy::disallowed_methods, reason = "a broken program fails a test, not hangs it")]
    pub async fn while_time_passes<T>(&self, until: impl Future<Output = T>) -> T {
        let passing = async {
            loop {
                self.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        };
        let happened = async {
            tokio::select! {
                happened = until => happened,
                () = passing => unreachable!("time never ends"),
            }
        };
        tokio::time::timeout(PATIENCE, happened).await.expect("something happens")
    }
}

/// A listener of the program's.
pub struct Serving {
    pub address: SocketAddr,
    /// Ends when it has served its last.
    pub ended: JoinHandle<()>,
}

impl Serving {
    pub async fn connect(&self) -> Wire {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        Wire { stream, received: Vec::new() }
    }

    /// Whether it lives, asked on a connection of its own.
    pub async fn lives(&self) -> bool {
        let mut wire = self.connect().await;
        wire.write(LIVE).await;
        wire.answer().await.expect("an answer").status == StatusCode::OK
    }
}

/// A whole request.
pub const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

/// A connection.
pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer that came over it.
#[derive(Debug)]
pub struct WireAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl WireAnswer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Wire {
    /// Writes, even when nobody reads any more. Whether that is so is told by reading.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.received).await, Ok(count) if count > 0)
    }

    /// Everything that still comes until the connection is closed.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.received)
    }

    /// Whether the connection has been closed, as far as is known by now.
    pub fn is_closed(&mut self) -> bool {
        self.rest().now_or_never().is_some()
    }

    /// Reads until these bytes have come, and takes everything up to them.
    pub async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.received.windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                return Some(self.received.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads so many bytes.
    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            assert!(self.more().await, "the connection ends too soon");
        }
        self.received.drain(..count).collect()
    }

    /// The next answer, whose length must be told or whose body is chunked; nothing, when the connection is closed instead.
    pub async fn answer(&mut self) -> Option<WireAnswer> {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await?).expect("text");
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
            let body = self.chunks().await;
            return Some(WireAnswer { status, headers, body });
        }
        let length = headers.get("content-length").map_or("0", |text| text.to_str().expect("text"));
        let length: usize = length.parse().expect("a number");
        let body = self.take(length).await;
        Some(WireAnswer { status, headers, body })
    }

    /// A chunked body (RFC 9112, section 7.1).
    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.until(b"\r\n").await.expect("the size of a chunk");
            let size = std::str::from_utf8(&size).expect("text").trim();
            let size = usize::from_str_radix(size, 16).expect("a number");
            body.extend(self.take(size).await);
            self.take(2).await;
            if size == 0 {
                return body;
            }
        }
    }
}
