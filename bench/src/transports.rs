//! Every way in which an operation reaches the server.

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

/// How long an answer may take before the server counts as hurt.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// Which of its operations.
    pub chosen: Option<&'static str>,
    /// As JSON.
    pub variables: Option<String>,
}

impl Operation {
    /// A document alone.
    pub fn of(query: impl Into<String>) -> Self {
        Self { query: query.into(), chosen: None, variables: None }
    }

    /// As GraphQL over HTTP writes it. By hand, since variables may be nested deeper than a library writes.
    fn json(&self, extensions: Option<&Value>) -> String {
        let mut members = vec![format!(r#""query":{}"#, json!(self.query))];
        members.extend(self.chosen.map(|name| format!(r#""operationName":{}"#, json!(name))));
        members
            .extend(self.variables.as_ref().map(|variables| format!(r#""variables":{variables}"#)));
        members.extend(extensions.map(|extensions| format!(r#""extensions":{extensions}"#)));
        format!("{{{}}}", members.join(","))
    }
}

/// What came back.
pub struct Answer {
    /// How long it took, all of it.
    pub took: Duration,
    /// All of it.
    pub text: String,
}

impl Answer {
    /// The first error code; else what the transport itself says ("HTTP 414", "closed with 4400").
    pub fn verdict(&self) -> String {
        let code = self.text.split_once(r#""code":""#).and_then(|(_, rest)| rest.split('"').next());
        let status = || match self.text.strip_prefix("HTTP/1.1 ") {
            Some(head) => format!("HTTP {}", &head[..3.min(head.len())]),
            None => self.text.chars().take(60).collect(),
        };
        code.map_or_else(status, str::to_owned)
    }

    /// Whether it is an error, and not what was asked for.
    pub fn is_refusal(&self) -> bool {
        self.text.contains(r#""code":""#)
            || self.text.starts_with("closed with")
            || self.text.strip_prefix("HTTP/1.1 ").is_some_and(|head| head.starts_with('4'))
    }
}

/// A way to the server.
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
    Persisted,
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
        Self::Persisted,
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
            Self::Persisted => "APQ",
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
            Self::Persisted => {
                let hash = digest(&SHA256, operation.query.as_bytes());
                ("application/json", operation.json(Some(&persisted(hash.as_ref()))))
            }
            _ => ("application/json", operation.json(None)),
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
    query.extend_pairs(operation.chosen.map(|name| ("operationName", name)));
    query.extend_pairs(operation.variables.as_ref().map(|json| ("variables", json)));
    query.finish()
}

fn upload(operation: &Operation) -> String {
    let part = |name: &str, value: &str| {
        let head = format!("content-disposition: form-data; name=\"{name}\"");
        format!("--bench-boundary\r\n{head}\r\n\r\n{value}\r\n")
    };
    part("operations", &operation.json(None)) + &part("map", "{}") + "--bench-boundary--\r\n"
}

fn persisted(hash: &[u8]) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": HEXLOWER.encode(hash) } })
}

/// Somebody who sends operations by one transport, one after the other.
pub struct Sender {
    /// The transport.
    pub transport: Transport,
    address: SocketAddr,
    token: String,
    socket: Option<Socket>,
    sent: u64,
}

impl Sender {
    /// Sends nothing yet.
    pub fn new(transport: Transport, address: SocketAddr, token: &str) -> Self {
        Self { transport, address, token: token.to_owned(), socket: None, sent: 0 }
    }

    /// Whether the server has this transport.
    pub async fn is_served(&mut self) -> bool {
        let Ok(answer) = self.send(&Operation::of("{ __typename }")).await else { return false };
        let is_of = |media_type: &str| {
            let (head, _) = answer.text.split_once("\r\n\r\n").unwrap_or_default();
            head.to_lowercase().contains(&format!("content-type: {media_type}"))
        };
        match self.transport {
            Transport::EventStream => is_of("text/event-stream"),
            Transport::Multipart => is_of("multipart/mixed"),
            // It takes mutations with files only, which is an answer too.
            Transport::Upload => !answer.text.starts_with("HTTP/1.1 415"),
            // A server without them answers the document, as if no hash were there.
            Transport::Persisted => {
                let other = Operation::of("{ authenticated }").json(Some(&persisted(&[0; 32])));
                let head = format!(
                    "host: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}",
                    other.len()
                );
                let request = format!("POST /graphql HTTP/1.1\r\n{head}\r\n\r\n{other}");
                let answered = within(PATIENCE, exchange(self.address, request.as_bytes())).await;
                answered.is_ok_and(|text| text.is_ok_and(|text| !text.contains("\"data\"")))
            }
            _ => answer.text.contains(r#""__typename":"Query""#),
        }
    }

    /// Sends one, and waits for its answer.
    ///
    /// # Errors
    /// When none comes.
    pub async fn send(&mut self, operation: &Operation) -> Result<Answer> {
        self.sent += 1;
        let Some(subprotocol) = self.transport.subprotocol() else {
            let request = self.transport.request(operation, &self.token);
            let began = now();
            let text = within(PATIENCE, exchange(self.address, &request)).await??;
            return Ok(Answer { took: now() - began, text });
        };
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => Socket::open(self.address, subprotocol, Some(&self.token)).await?,
        };
        let message = socket.starting(self.sent, &operation.json(None));
        let began = now();
        let text = within(PATIENCE, socket.answer(self.sent, message)).await??;
        let took = now() - began;
        if !text.starts_with("closed with") {
            self.socket = Some(socket);
        }
        Ok(Answer { took, text })
    }
}

/// Everything that comes back on a connection of its own.
async fn exchange(address: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await.context("the server is gone")?;
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    let (mut reading, mut writing) = stream.split();
    // A server that has seen enough answers and closes before everything is written.
    let (_, read) = tokio::join!(writing.write_all(request), reading.read_to_end(&mut received));
    if received.is_empty() {
        read.context("closed without an answer")?;
        bail!("closed without an answer");
    }
    Ok(String::from_utf8_lossy(&received).into_owned())
}

/// A WebSocket after `connection_init` and `connection_ack`.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    start: &'static str,
}

impl Socket {
    /// Opens one; without a token anonymously.
    ///
    /// # Errors
    /// When the server does not take it.
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
        let (mut stream, _) = within(PATIENCE, opening).await??;
        let payload =
            token.map_or(json!({}), |token| json!({ "Authorization": format!("Bearer {token}") }));
        let init = json!({ "type": "connection_init", "payload": payload }).to_string();
        stream.send(Message::text(init)).await?;
        loop {
            match within(PATIENCE, stream.next()).await?.context("closed")?? {
                Message::Text(text) if text.contains("connection_ack") => break,
                Message::Close(frame) => bail!("closed with {frame:?}"),
                _ => {}
            }
        }
        let start = if subprotocol == "graphql-ws" { "start" } else { "subscribe" };
        Ok(Self { stream, start })
    }

    /// The message that starts an operation.
    pub fn starting(&self, id: u64, payload: &str) -> Message {
        Message::text(format!(r#"{{"id":"{id}","type":"{}","payload":{payload}}}"#, self.start))
    }

    /// Sends a message and waits for the first that answers it.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn answer(&mut self, id: u64, message: Message) -> Result<String> {
        // A server that refuses the message's size closes while it is still being written.
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

    /// Reads, and answers pings, until the server closes. How it ended.
    pub async fn stay(self) -> String {
        self.hear(|_| {}).await
    }

    /// The same, and passes on everything else that is said.
    pub async fn hear(mut self, mut said: impl FnMut(&str)) -> String {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) if text.contains(r#""type":"ping""#) => {
                    let _ = self.stream.send(Message::text(r#"{"type":"pong"}"#)).await;
                }
                Some(Ok(Message::Text(text))) => said(&text),
                Some(Ok(Message::Close(frame))) => return format!("closed with {frame:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.to_string(),
                None => return "closed".to_owned(),
            }
        }
    }
}
