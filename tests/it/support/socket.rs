//! A client of sockets that says whatever it likes, and hears everything in its order.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::TestApp;
use super::wire::Serving;

/// The subprotocol of today.
pub const MODERN: &str = "graphql-transport-ws";
/// The one that GraphQL Playground speaks.
pub const LEGACY: &str = "graphql-ws";

/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// An open socket.
pub struct Socket(WebSocketStream<TcpStream>);

/// What a socket hears.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// A message.
    Json(Value),
    /// A ping of the socket's own, which this client answers as it reads on.
    Ping,
    /// Why it was closed; nothing, when nobody said.
    Closed(Option<(u16, String)>),
}

impl Serving {
    /// Opens a socket with these headers, or tells the status of the refusal and its JSON.
    pub async fn try_socket(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, (StatusCode, Value)> {
        let mut request =
            format!("ws://{}/graphql", self.address).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a header"));
        }
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Socket(stream)),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err((answer.status(), serde_json::from_slice(body).unwrap_or_default()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a socket and says nothing yet.
    pub async fn socket(&self, protocol: &'static str) -> Socket {
        let opened = self.try_socket(&[("sec-websocket-protocol", protocol)]).await;
        opened.unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// Opens a socket for nobody, or for whoever has the token.
    pub async fn let_in(&self, protocol: &'static str, token: Option<&str>) -> Socket {
        let mut socket = self.asks_in(protocol, token).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// The same, and nothing was answered yet.
    pub async fn asks_in(&self, protocol: &'static str, token: Option<&str>) -> Socket {
        let mut socket = self.socket(protocol).await;
        let payload = match token {
            Some(token) => json!({ "Authorization": format!("Bearer {token}") }),
            None => json!({}),
        };
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        socket
    }
}

impl Socket {
    /// Says something, even to one that does not listen any more.
    pub async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    /// Says what need not be JSON.
    pub async fn say_text(&mut self, text: &str) {
        self.write(Message::text(text)).await;
    }

    /// Writes a frame of any kind.
    pub async fn write(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// Writes bytes as they are, past all framing.
    pub async fn write_raw(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("written");
    }

    /// Asks for an operation. Nobody answers that it began.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// Everything that comes, one after the other.
    #[expect(clippy::disallowed_methods, reason = "a broken program fails a test, not hangs it")]
    pub async fn anything(&mut self) -> Heard {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
        match next.expect("something comes") {
            Some(Ok(Message::Text(text))) => {
                Heard::Json(serde_json::from_str(&text).expect("JSON"))
            }
            Some(Ok(Message::Ping(_))) => Heard::Ping,
            Some(Ok(Message::Close(frame))) => {
                let said = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                // Answers it, as clients do.
                while let Some(Ok(_)) = self.0.next().await {}
                Heard::Closed(said)
            }
            Some(Ok(other)) => panic!("nobody says {other:?}"),
            Some(Err(_)) | None => Heard::Closed(None),
        }
    }

    /// The next message.
    #[track_caller]
    pub fn hear(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match self.anything().await {
                    Heard::Json(message) => return message,
                    Heard::Ping => {}
                    Heard::Closed(why) => panic!("closed with {why:?}, at {caller}"),
                }
            }
        }
    }

    /// The next message as it was written.
    pub async fn hear_text(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("no message: {other:?}"),
        }
    }

    /// The next message as its type, id and payload.
    #[track_caller]
    pub fn hear_parts(&mut self) -> impl Future<Output = (String, String, Value)> {
        let hearing = self.hear();
        async move {
            let mut message = hearing.await;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&message["type"]), text(&message["id"]), message["payload"].take())
        }
    }

    /// The data of the next message, which must be an answer to this operation.
    #[track_caller]
    pub fn data(&mut self, id: &str) -> impl Future<Output = Value> {
        let hearing = self.hear();
        let id = id.to_owned();
        async move {
            let mut message = hearing.await;
            assert_eq!(
                (&message["type"], &message["id"]),
                (&json!("next"), &json!(id)),
                "{message}"
            );
            assert!(message["payload"].get("errors").is_none(), "{message}");
            message["payload"]["data"].take()
        }
    }

    /// The code of the next message, which must be the error of this operation.
    #[track_caller]
    pub fn error(&mut self, id: &str) -> impl Future<Output = String> {
        let hearing = self.hear();
        let id = id.to_owned();
        async move {
            let message = hearing.await;
            assert_eq!(
                (&message["type"], &message["id"]),
                (&json!("error"), &json!(id)),
                "{message}"
            );
            let code = &message["payload"][0]["extensions"]["code"];
            code.as_str().unwrap_or_else(|| panic!("no code: {message}")).to_owned()
        }
    }

    /// Runs a query or a mutation, and gives its payload.
    pub async fn run(&mut self, query: &str, variables: Value) -> Value {
        self.subscribe("run", query, variables).await;
        let (kind, id, payload) = self.hear_parts().await;
        assert_eq!(id, "run");
        if kind == "error" {
            return json!({ "errors": payload });
        }
        assert_eq!(self.hear().await, json!({ "type": "complete", "id": "run" }));
        payload
    }

    /// Sees that nothing comes before the answer to a ping.
    #[track_caller]
    pub fn is_quiet(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            self.say(json!({ "type": "ping" })).await;
            let heard = self.hear().await;
            assert_eq!(heard, json!({ "type": "pong" }), "at {caller}");
        }
    }

    /// Reads on until it is closed, and tells why.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            if let Heard::Closed(why) = self.anything().await {
                return why;
            }
        }
    }

    /// The code that it is closed with.
    pub async fn close_code(&mut self) -> Option<u16> {
        self.closed().await.map(|(code, _)| code)
    }
}

impl TestApp {
    /// Waits until no socket is left, and nobody listens to a topic.
    pub async fn everybody_is_gone(&self) {
        while !self.app.tasks.is_empty() || self.app.platform.events.topics() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
