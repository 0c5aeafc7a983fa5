//! Clients for all GraphQL transports: POST, GET, uploads, both WebSocket protocols, SSE, multipart, persisted queries.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::form_urlencoded;

use crate::clock::{now, within};

/// How long a response may take before the server counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A GraphQL request.
#[derive(Clone)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// The name of the operation to execute.
    pub name: Option<&'static str>,
    /// The variables as JSON.
    pub variables: Option<String>,
}

impl Operation {
    /// A request without an operation name and variables.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), name: None, variables: None }
    }

    /// The JSON of a GraphQL-over-HTTP request. Written by hand: serde_json rejects variables nested too deeply.
    fn to_json(&self, extensions: Option<&Value>) -> String {
        let mut members = vec![format!(r#""query":{}"#, json!(self.query))];
        members.extend(self.name.map(|name| format!(r#""operationName":{}"#, json!(name))));
        members
            .extend(self.variables.as_ref().map(|variables| format!(r#""variables":{variables}"#)));
        members.extend(extensions.map(|extensions| format!(r#""extensions":{extensions}"#)));
        format!("{{{}}}", members.join(","))
    }
}

/// A response.
pub struct Response {
    /// The time until it was complete.
    pub latency: Duration,
    /// The whole text, with the HTTP header.
    pub text: String,
}

impl Response {
    /// The first error code, or the status of the transport ("HTTP 414", "closed with 4400").
    pub fn outcome(&self) -> String {
        let code = self.text.split_once(r#""code":""#).and_then(|(_, rest)| rest.split('"').next());
        let status = || match self.text.strip_prefix("HTTP/1.1 ") {
            Some(head) => format!("HTTP {}", &head[..3.min(head.len())]),
            None => self.text.chars().take(60).collect(),
        };
        code.map_or_else(status, str::to_owned)
    }

    /// Whether the request was rejected.
    pub fn is_error(&self) -> bool {
        self.text.contains(r#""code":""#)
            || self.text.starts_with("closed with")
            || self.text.strip_prefix("HTTP/1.1 ").is_some_and(|head| head.starts_with('4'))
    }
}

/// A GraphQL transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// POST with JSON.
    Post,
    /// GET with a query string.
    Get,
    /// The multipart request specification for uploads.
    Upload,
    /// WebSocket, graphql-transport-ws.
    Socket,
    /// WebSocket, the protocol of subscriptions-transport-ws.
    LegacySocket,
    /// Server-sent events.
    EventStream,
    /// Apollo's subscriptions over multipart.
    Multipart,
    /// Registration of an automatic persisted query.
    PersistedQuery,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Post,
        Self::Get,
        Self::Upload,
        Self::Socket,
        Self::LegacySocket,
        Self::EventStream,
        Self::Multipart,
        Self::PersistedQuery,
    ];

    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Get => "GET",
            Self::Upload => "upload",
            Self::Socket => "transport-ws",
            Self::LegacySocket => "graphql-ws",
            Self::EventStream => "SSE",
            Self::Multipart => "multipart",
            Self::PersistedQuery => "APQ",
        }
    }

    fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::Socket => Some("graphql-transport-ws"),
            Self::LegacySocket => Some("graphql-ws"),
            _ => None,
        }
    }

    /// A request over HTTP, as it goes over the wire.
    fn request(self, operation: &Operation, token: &str) -> Vec<u8> {
        let accept = match self {
            Self::EventStream => "text/event-stream",
            Self::Multipart => "multipart/mixed;subscriptionSpec=1.0",
            _ => "application/graphql-response+json",
        };
        let (content_type, body) = match self {
            Self::Get => ("", String::new()),
            Self::Upload => ("multipart/form-data; boundary=bench-boundary", upload(operation)),
            Self::PersistedQuery => {
                let hash = digest(&SHA256, operation.query.as_bytes());
                (
                    "application/json",
                    operation.to_json(Some(&persisted_query_extension(hash.as_ref()))),
                )
            }
            _ => ("application/json", operation.to_json(None)),
        };
        let first_line = match self {
            Self::Get => format!("GET /graphql?{} HTTP/1.1", query_string(operation)),
            _ => "POST /graphql HTTP/1.1".to_owned(),
        };
        let head = [
            first_line,
            "host: localhost".to_owned(),
            "connection: close".to_owned(),
            "apollo-require-preflight: true".to_owned(),
            format!("authorization: Bearer {token}"),
            format!("accept: {accept}"),
            format!("content-type: {content_type}"),
            format!("content-length: {}", body.len()),
        ];
        let head = if self == Self::Get { &head[..6] } else { &head };
        format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
    }
}

fn query_string(operation: &Operation) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("query", &operation.query);
    query.extend_pairs(operation.name.map(|name| ("operationName", name)));
    query.extend_pairs(operation.variables.as_ref().map(|json| ("variables", json)));
    query.finish()
}

fn upload(operation: &Operation) -> String {
    let part = |name: &str, value: &str| {
        let head = format!("content-disposition: form-data; name=\"{name}\"");
        format!("--bench-boundary\r\n{head}\r\n\r\n{value}\r\n")
    };
    part("operations", &operation.to_json(None)) + &part("map", "{}") + "--bench-boundary--\r\n"
}

fn persisted_query_extension(hash: &[u8]) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": HEXLOWER.encode(hash) } })
}

/// A client that sends operations over one transport, one after the other.
pub struct TransportClient {
    /// The transport.
    pub transport: Transport,
    address: SocketAddr,
    token: String,
    socket: Option<Socket>,
    last_id: u64,
}

impl TransportClient {
    /// Creates a client. It connects when it sends.
    pub fn new(transport: Transport, address: SocketAddr, token: &str) -> Self {
        Self { transport, address, token: token.to_owned(), socket: None, last_id: 0 }
    }

    /// Whether the server supports this transport.
    pub async fn is_served(&mut self) -> bool {
        let Ok(response) = self.send(&Operation::new("{ __typename }")).await else { return false };
        let has_content_type = |media_type: &str| {
            let (head, _) = response.text.split_once("\r\n\r\n").unwrap_or_default();
            head.to_lowercase().contains(&format!("content-type: {media_type}"))
        };
        match self.transport {
            Transport::EventStream => has_content_type("text/event-stream"),
            Transport::Multipart => has_content_type("multipart/mixed"),
            // Uploads must be mutations with files, so any other status proves the support.
            Transport::Upload => !response.text.starts_with("HTTP/1.1 415"),
            // A server without persisted queries ignores the hash and executes the document.
            Transport::PersistedQuery => {
                let body = Operation::new("{ authenticated }")
                    .to_json(Some(&persisted_query_extension(&[0; 32])));
                let head = format!(
                    "host: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}",
                    body.len()
                );
                let request = format!("POST /graphql HTTP/1.1\r\n{head}\r\n\r\n{body}");
                let result = within(TIMEOUT, exchange(self.address, request.as_bytes())).await;
                result.is_ok_and(|text| text.is_ok_and(|text| !text.contains("\"data\"")))
            }
            _ => response.text.contains(r#""__typename":"Query""#),
        }
    }

    /// Sends an operation, and waits for the response.
    pub async fn send(&mut self, operation: &Operation) -> Result<Response> {
        self.last_id += 1;
        let Some(subprotocol) = self.transport.subprotocol() else {
            let request = self.transport.request(operation, &self.token);
            let started_at = now();
            let text = within(TIMEOUT, exchange(self.address, &request)).await??;
            return Ok(Response { latency: now() - started_at, text });
        };
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => Socket::open(self.address, subprotocol, Some(&self.token)).await?,
        };
        let message = socket.start_message(self.last_id, &operation.to_json(None));
        let started_at = now();
        let text = within(TIMEOUT, socket.execute(self.last_id, message)).await??;
        let latency = now() - started_at;
        if !text.starts_with("closed with") {
            self.socket = Some(socket);
        }
        Ok(Response { latency, text })
    }
}

/// Sends a request over a new connection, and reads until the server closes it.
async fn exchange(address: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await.context("the server is gone")?;
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    let (mut reader, mut writer) = stream.split();
    // The server may respond and close before everything is written.
    let (_, read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut received));
    if received.is_empty() {
        read.context("closed without a response")?;
        bail!("closed without a response");
    }
    Ok(String::from_utf8_lossy(&received).into_owned())
}

/// A WebSocket after `connection_init` and `connection_ack`.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    start_type: &'static str,
}

impl Socket {
    /// Opens a socket, anonymously without a token.
    pub async fn open(
        address: SocketAddr,
        subprotocol: &'static str,
        token: Option<&str>,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("the server is gone")?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse()?);
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let opening = client_async_with_config(request, stream, Some(config));
        let (mut stream, _) = within(TIMEOUT, opening).await??;
        let payload =
            token.map_or(json!({}), |token| json!({ "Authorization": format!("Bearer {token}") }));
        let init = json!({ "type": "connection_init", "payload": payload }).to_string();
        stream.send(Message::text(init)).await?;
        loop {
            match within(TIMEOUT, stream.next()).await?.context("closed")?? {
                Message::Text(text) if text.contains("connection_ack") => break,
                Message::Close(frame) => bail!("closed with {frame:?}"),
                _ => {}
            }
        }
        let start_type = if subprotocol == "graphql-ws" { "start" } else { "subscribe" };
        Ok(Self { stream, start_type })
    }

    /// Builds the message that starts an operation.
    pub fn start_message(&self, id: u64, payload: &str) -> Message {
        Message::text(format!(
            r#"{{"id":"{id}","type":"{}","payload":{payload}}}"#,
            self.start_type
        ))
    }

    /// Sends a message, and waits for the first message with its id.
    pub async fn execute(&mut self, id: u64, message: Message) -> Result<String> {
        // The server may close while a message that is too large is still being written.
        let _ = self.stream.send(message).await;
        let id = format!(r#""id":"{id}""#);
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) if text.contains(&id) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    return Ok(format!("closed with {code}"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => bail!("closed without a reason: {error}"),
                None => bail!("closed without a reason"),
            }
        }
    }

    /// Reads and responds to pings until the server closes. Returns the reason.
    pub async fn read_until_closed(self) -> String {
        self.read_messages(|_| {}).await
    }

    /// Does the same, and passes the other messages to `on_message`.
    pub async fn read_messages(mut self, mut on_message: impl FnMut(&str)) -> String {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) if text.contains(r#""type":"ping""#) => {
                    let _ = self.stream.send(Message::text(r#"{"type":"pong"}"#)).await;
                }
                Some(Ok(Message::Text(text))) => on_message(&text),
                Some(Ok(Message::Close(frame))) => return format!("closed with {frame:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.to_string(),
                None => return "closed".to_owned(),
            }
        }
    }
}
