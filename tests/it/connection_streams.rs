//! Streams by the proxy of API connections, byte by byte: large bodies in bounded memory, bodies in both directions at once,
//! answers without a body, and clients that are slow or go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::connections::{FakeProvider, Keys};
use crate::support::raw_connection::{RawConnection, TestServer};
use crate::support::{TestApp, TestDatabase};

const LARGE: usize = 64 << 20;
/// What the buffers of four sockets and of the server's two connections can hold at most, with room to spare.
const MAX_IN_FLIGHT: usize = 32 << 20;
static PART: [u8; 64 << 10] = [7; 64 << 10];

/// A served app, with a connection to a provider that the test plays.
struct Setup {
    app: TestApp,
    server: TestServer,
    keys: Keys,
    listener: TcpListener,
}

impl Setup {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let provider = FakeProvider::start().await;
        let settings = provider.settings(&[]);
        let allowed = format!("{},{address}", settings[1].1);
        let settings = provider.settings(&[("OUTBOUND_ALLOW", &allowed)]);
        let app = TestApp::with(&TestDatabase::Memory, &settings).await;
        let credentials =
            json!({ "accessToken": "token", "instanceUrl": format!("http://{address}") });
        let input = json!({ "provider": "hosted", "credentials": credentials });
        let created = app.anonymous().create_connection(input).await;
        let keys = Keys::of(created.data("/createConnection"));
        let server = app.serve().await;
        Self { app, server, keys, listener }
    }

    /// The head of a request.
    fn head(&self, method: &str, headers: &str) -> String {
        let Keys { reference, secret } = &self.keys;
        format!(
            "{method} /connections/{reference}/proxy/a HTTP/1.1\r\nHost: x\r\nConnection-Secret: {secret}\r\n{headers}\r\n"
        )
    }

    /// Accepts a connection of the proxy, and reads the head of its request.
    async fn accept(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.accept().await.expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a byte"));
        }
        (stream, String::from_utf8(head).expect("text").to_lowercase())
    }

    /// Sends a request. Returns the client's connection, and the provider's with the head.
    async fn send(&self, method: &str, headers: &str) -> (RawConnection, TcpStream, String) {
        self.send_with(method, headers, "").await
    }

    /// As [`Self::send`], with the first bytes of a body.
    async fn send_with(
        &self,
        method: &str,
        headers: &str,
        body: &str,
    ) -> (RawConnection, TcpStream, String) {
        let mut client = self.server.connect().await;
        client.write(self.head(method, headers) + body).await;
        let (stream, head) = self.accept().await;
        (client, stream, head)
    }

    async fn last_call(&self) -> Value {
        let read = self.app.anonymous().connection(&self.keys).await;
        read.nodes("/connection/callLog")[0].clone()
    }
}

/// Waits until nobody counts on.
async fn settled(count: &AtomicUsize) -> usize {
    let mut before = 0;
    loop {
        for _ in 0..5_000 {
            tokio::task::yield_now().await;
        }
        let now = count.load(Ordering::Relaxed);
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

/// Writes a large body, and counts what the other side has taken.
fn write_large(mut stream: impl AsyncWriteExt + Unpin + Send + 'static) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let written = count.clone();
    tokio::spawn(async move {
        for _ in 0..LARGE / PART.len() {
            stream.write_all(&PART).await.expect("written");
            written.fetch_add(PART.len(), Ordering::Relaxed);
        }
        std::future::pending::<()>().await;
    });
    count
}

#[tokio::test]
async fn a_large_answer_waits_for_its_reader() {
    let setup = Setup::new().await;
    let (mut client, mut stream, _) = setup.send("GET", "").await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    let sent = write_large(stream);
    let in_flight = settled(&sent).await;
    assert!(in_flight < MAX_IN_FLIGHT, "{in_flight}");
    let head = client.read_until(b"\r\n\r\n").await.expect("a head");
    let head = String::from_utf8(head).expect("text").to_lowercase();
    assert!(head.contains(&format!("content-length: {LARGE}\r\n")), "{head}");
    for _ in 0..LARGE / PART.len() {
        assert!(client.read_exact(PART.len()).await == PART);
    }
    assert_eq!(sent.load(Ordering::Relaxed), LARGE);
}

#[tokio::test]
async fn a_large_request_waits_for_the_provider() {
    let setup = Setup::new().await;
    let mut client = TcpStream::connect(setup.server.address).await.expect("it listens");
    let head = setup.head("POST", &format!("Content-Length: {LARGE}\r\n"));
    client.write_all(head.as_bytes()).await.expect("written");
    let (mut answers, requests) = client.into_split();
    let sent = write_large(requests);
    let (mut stream, head) = setup.accept().await;
    assert!(head.contains(&format!("content-length: {LARGE}\r\n")), "{head}");
    let in_flight = settled(&sent).await;
    assert!(in_flight < MAX_IN_FLIGHT, "{in_flight}");
    let mut part = vec![0; PART.len()];
    for _ in 0..LARGE / PART.len() {
        stream.read_exact(&mut part).await.expect("a part");
        assert!(part == PART);
    }
    stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.expect("written");
    let mut line = [0; 12];
    answers.read_exact(&mut line).await.expect("an answer");
    assert_eq!(&line, b"HTTP/1.1 201");
}

#[tokio::test]
async fn chunks_pass_in_both_directions_at_once() {
    let setup = Setup::new().await;
    let (mut client, mut stream, head) = setup.send("POST", "Transfer-Encoding: chunked\r\n").await;
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    let start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(start.as_bytes()).await.expect("written");
    let head = client.read_until(b"\r\n\r\n").await.expect("a head");
    assert!(String::from_utf8(head).expect("text").to_lowercase().contains("chunked"));
    for word in ["one", "two"] {
        let chunk = format!("3\r\n{word}\r\n");
        client.write(&chunk).await;
        let mut received = vec![0; chunk.len()];
        stream.read_exact(&mut received).await.expect("a chunk");
        assert_eq!(received, chunk.as_bytes());
        stream.write_all(chunk.as_bytes()).await.expect("written");
        assert_eq!(client.read_exact(chunk.len()).await, chunk.as_bytes());
    }
    client.write("0\r\n\r\n").await;
    let mut end = [0; 5];
    stream.read_exact(&mut end).await.expect("the end");
    assert_eq!(&end, b"0\r\n\r\n");
    stream.write_all(&end).await.expect("written");
    assert_eq!(client.read_exact(5).await, end);
    assert_eq!(setup.last_call().await["status"], 200);
}

#[tokio::test]
async fn answers_without_a_body_keep_their_heads() {
    let setup = Setup::new().await;
    for (method, answer, line, length) in [
        ("HEAD", "200 OK\r\ncontent-length: 12345", "200", Some("12345")),
        ("GET", "204 No Content", "204", None),
        ("DELETE", "204 No Content\r\ncontent-length: 0", "204", None),
        ("GET", "304 Not Modified\r\netag: \"a\"\r\ncontent-length: 7", "304", None),
    ] {
        let (mut client, mut stream, _) = setup.send(method, "").await;
        let answer = format!("HTTP/1.1 {answer}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("written");
        let head = client.read_until(b"\r\n\r\n").await.expect("a head");
        let head = String::from_utf8(head).expect("text").to_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {line} ")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        let found = head
            .split_once("content-length: ")
            .map(|(_, rest)| &rest[..rest.find('\r').expect("an end")]);
        assert_eq!(found, length, "{method} {head}");
        // The connection goes on: nothing of a body was sent.
        client.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.read_response().await.expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let setup = Setup::new().await;
    let (client, mut stream, _) = setup.send("GET", "").await;
    drop(client);
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "before the head of the answer");

    let (mut client, mut stream, _) = setup.send("GET", "").await;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst").await.expect("written");
    client.read_until(b"first").await.expect("the first part");
    drop(client);
    while stream.write_all(&PART).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let (client, mut stream, _) = setup.send_with("POST", "Content-Length: 9\r\n", "x").await;
    assert_eq!(stream.read_u8().await.expect("a byte"), b'x');
    drop(client);
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "within the body of the request");
}

#[tokio::test]
async fn a_slow_sender_ends_in_time() {
    let setup = Setup::new().await;
    let (mut client, mut stream, _) = setup.send_with("PUT", "Content-Length: 9\r\n", "x").await;
    assert_eq!(stream.read_u8().await.expect("a byte"), b'x');
    let answer = setup.app.while_time_passes(client.read_response()).await.expect("an answer");
    assert_eq!(answer.status, 408);
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "the provider's connection is closed");
}

#[tokio::test]
async fn an_answer_may_come_before_the_end_of_the_request() {
    let setup = Setup::new().await;
    let (mut client, mut stream, _) = setup.send_with("POST", "Content-Length: 9\r\n", "x").await;
    stream
        .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        .await
        .expect("written");
    let head = client.read_until(b"\r\n\r\n").await.expect("a head");
    assert!(head.starts_with(b"HTTP/1.1 413"));
    client.write("12345678").await;
    client.read_until(b"no").await.expect("the answer");
}
