//! A WebSocket client that sends arbitrary messages and receives everything in order.

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
use super::raw_connection::TestServer;

/// The current subprotocol of GraphQL over WebSocket.
pub const MODERN: &str = "graphql-transport-ws";
/// The subprotocol of subscriptions-transport-ws, which GraphQL Playground uses.
pub const LEGACY: &str = "graphql-ws";

/// A test that takes longer fails.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An open socket.
pub struct Socket(WebSocketStream<TcpStream>);

/// An event on a socket.
#[derive(Debug, PartialEq)]
pub enum SocketEvent {
    /// A message.
    Json(Value),
    /// A WebSocket ping; the client responds while it reads on.
    Ping,
    /// The close code and reason, if there were any.
    Closed(Option<(u16, String)>),
}

impl TestServer {
    /// Opens a socket with these headers. An error is the status and JSON of the response.
    pub async fn try_socket(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, (StatusCode, Value)> {
        let mut request =
            format!("ws://{}/graphql", self.address).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Socket(stream)),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err((response.status(), serde_json::from_slice(body).unwrap_or_default()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a socket and sends nothing yet.
    pub async fn socket(&self, protocol: &'static str) -> Socket {
        self.socket_offering(protocol).await
    }

    /// Opens a socket with one of these subprotocols.
    pub async fn socket_offering(&self, protocols: &str) -> Socket {
        let opened = self.try_socket(&[("sec-websocket-protocol", protocols)]).await;
        opened.unwrap_or_else(|response| panic!("{response:?}"))
    }

    /// Opens a socket and initialises it, with a token or without.
    pub async fn initialized_socket(&self, protocol: &'static str, token: Option<&str>) -> Socket {
        let mut socket = self.connecting_socket(protocol, token).await;
        assert_eq!(socket.next_message().await, json!({ "type": "connection_ack" }));
        socket
    }

    /// Opens a socket and sends `connection_init`; does not wait for the response.
    pub async fn connecting_socket(&self, protocol: &'static str, token: Option<&str>) -> Socket {
        let mut socket = self.socket(protocol).await;
        let payload = match token {
            Some(token) => json!({ "Authorization": format!("Bearer {token}") }),
            None => json!({}),
        };
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        socket
    }
}

impl Socket {
    /// Sends a message; ignores that the socket may be closed.
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends text that need not be JSON.
    pub async fn send_text(&mut self, text: &str) {
        self.write(Message::text(text)).await;
    }

    /// Sends a frame of any kind.
    pub async fn write(&mut self, message: Message) {
        let _ = self.0.send(message).await;
    }

    /// Writes bytes without framing.
    pub async fn write_raw(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("written");
    }

    /// Subscribes to an operation. There is no acknowledgement.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// The next event.
    #[expect(clippy::disallowed_methods, reason = "a broken program fails a test, not hangs it")]
    pub async fn next_event(&mut self) -> SocketEvent {
        let next = tokio::time::timeout(TIMEOUT, self.0.next()).await;
        match next.expect("an event in time") {
            Some(Ok(Message::Text(text))) => {
                SocketEvent::Json(serde_json::from_str(&text).expect("JSON"))
            }
            Some(Ok(Message::Ping(_))) => SocketEvent::Ping,
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                // Completes the closing handshake, as clients do.
                while let Some(Ok(_)) = self.0.next().await {}
                SocketEvent::Closed(reason)
            }
            Some(Ok(other)) => panic!("unexpected: {other:?}"),
            Some(Err(_)) | None => SocketEvent::Closed(None),
        }
    }

    /// The next message.
    #[track_caller]
    pub fn next_message(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match self.next_event().await {
                    SocketEvent::Json(message) => return message,
                    SocketEvent::Ping => {}
                    SocketEvent::Closed(reason) => panic!("closed with {reason:?}, at {caller}"),
                }
            }
        }
    }

    /// The next message as text.
    pub async fn next_text(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("no message: {other:?}"),
        }
    }

    /// The next message as its type, id and payload.
    #[track_caller]
    pub fn next_message_parts(&mut self) -> impl Future<Output = (String, String, Value)> {
        let message = self.next_message();
        async move {
            let mut message = message.await;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&message["type"]), text(&message["id"]), message["payload"].take())
        }
    }

    /// The data of the next message, which must be a result of this operation.
    #[track_caller]
    pub fn data(&mut self, id: &str) -> impl Future<Output = Value> {
        let message = self.next_message();
        let id = id.to_owned();
        async move {
            let mut message = message.await;
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
        let message = self.next_message();
        let id = id.to_owned();
        async move {
            let message = message.await;
            assert_eq!(
                (&message["type"], &message["id"]),
                (&json!("error"), &json!(id)),
                "{message}"
            );
            let code = &message["payload"][0]["extensions"]["code"];
            code.as_str().unwrap_or_else(|| panic!("no code: {message}")).to_owned()
        }
    }

    /// Runs a query or a mutation and returns its payload.
    pub async fn run(&mut self, query: &str, variables: Value) -> Value {
        self.subscribe("run", query, variables).await;
        let (kind, id, payload) = self.next_message_parts().await;
        assert_eq!(id, "run");
        if kind == "error" {
            return json!({ "errors": payload });
        }
        assert_eq!(self.next_message().await, json!({ "type": "complete", "id": "run" }));
        payload
    }

    /// Asserts that no message arrives before the response to a ping.
    #[track_caller]
    pub fn assert_quiet(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            self.send(json!({ "type": "ping" })).await;
            let message = self.next_message().await;
            assert_eq!(message, json!({ "type": "pong" }), "at {caller}");
        }
    }

    /// Reads on until the socket is closed, and returns the code and reason.
    pub async fn close_reason(&mut self) -> Option<(u16, String)> {
        loop {
            if let SocketEvent::Closed(reason) = self.next_event().await {
                return reason;
            }
        }
    }

    /// Reads on until the socket is closed, and returns the code.
    pub async fn close_code(&mut self) -> Option<u16> {
        self.close_reason().await.map(|(code, _)| code)
    }
}

impl TestApp {
    /// Waits until all sockets are closed and all topic subscriptions have ended.
    pub async fn wait_until_no_socket_is_open(&self) {
        while !self.app.tasks.is_empty() || self.app.platform.events.topic_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
