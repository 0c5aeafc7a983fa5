//! A WebSocket connection: initialisation, operations, keep-alive and closing.
//!
//! async-graphql's driver is not used: after its close codes 1002 and 1011 clients give up that should reconnect; a
//! second operation with the same id replaces the first; message size and number of operations have no limit, and the
//! time to initialise or read has none (it has a `keepalive_timeout`, off by default); the socket stays open when the
//! session ends.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::BoxStream;
use tokio_stream::{StreamExt, StreamMap};

use super::close_reason::CloseReason;
use super::protocol::{ClientMessage, Subprotocol, authorization};
use crate::error::{ErrorCode, UserError};
use crate::server::authentication::authenticate_header;
use crate::server::connection_watch::ConnectionWatch;
use crate::server::graphql::endpoint::Endpoint;
use crate::server::graphql::execution::StreamItem;
use crate::server::graphql::request::concurrency_limiter::ConcurrencyPermit;
use crate::server::graphql::request::parameters::MAX_REQUEST_LEN;
use crate::server::graphql::request::requester::Requester;
use crate::server::graphql::response;

/// How long a client may take to initialise the connection.
const INIT_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval of pings. A client that is silent for two intervals is disconnected.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// How long a client may take to read a message.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may take to return a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client may take to complete a message or a control frame, from its first bytes.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest message, in one frame or in many.
pub const MAX_MESSAGE_LEN: usize = MAX_REQUEST_LEN;
/// How much is read of a frame that is too long. If the connection ended with unread bytes, the client would not get the
/// close reason.
pub const MAX_FRAME_LEN: usize = 4 * MAX_MESSAGE_LEN;

/// How a connection ends: the server closes it with a reason, or the client is gone.
type ConnectionEnd = Option<CloseReason>;

/// One socket, driven by one task. Nothing is queued: a response is made when the one before it is written, so a slow
/// client slows its own operations and needs no memory.
pub struct Connection {
    endpoint: Arc<Endpoint>,
    subprotocol: Subprotocol,
    /// Boxed because the task would contain a copy for each function that it is moved through.
    socket: Box<WebSocket>,
    /// Of the connection that the socket was.
    watch: Arc<ConnectionWatch>,
}

impl Connection {
    /// A connection that is not initialised yet.
    pub fn new(
        endpoint: Arc<Endpoint>,
        subprotocol: Subprotocol,
        socket: WebSocket,
        watch: Arc<ConnectionWatch>,
    ) -> Self {
        // The request of the handshake was complete.
        watch.record_message();
        Self { endpoint, subprotocol, socket: Box::new(socket), watch }
    }

    /// Runs the connection until one side closes it.
    pub async fn run(mut self, requester: Requester) {
        let id = requester.request_id.clone();
        let end = self.run_until_end(requester).await;
        let code = end.as_ref().map(|reason| reason.code);
        tracing::info!(id = %id.0, code, "socket closed");
        if let Some(reason) = end {
            self.close(reason).await;
        }
    }

    /// Initialises the connection and runs its operations. Returns how the connection ends.
    async fn run_until_end(&mut self, requester: Requester) -> ConnectionEnd {
        let stopping = self.endpoint.app.stopping.clone();
        let (requester, _permit) = tokio::select! {
            // Boxed so that its memory is freed before the long wait.
            initialised = Box::pin(self.initialise(requester)) => match initialised {
                Ok(initialised) => initialised,
                Err(end) => return end,
            },
            () = stopping.cancelled() => return Some(CloseReason::stopping()),
        };
        let session_ended = self.endpoint.session_ended(&requester);
        tokio::select! {
            end = self.run_operations(&requester) => end,
            end = session_ended => Some(CloseReason::session_ended(end)),
            () = stopping.cancelled() => Some(CloseReason::stopping()),
        }
    }

    /// Authenticates the client and acknowledges the connection. A client that is rejected gets no acknowledgement
    /// before: it would reconnect at once.
    async fn initialise(
        &mut self,
        mut requester: Requester,
    ) -> Result<(Requester, ConcurrencyPermit), ConnectionEnd> {
        let platform = self.endpoint.app.platform.clone();
        let timeout = platform.clock.sleep_until(platform.now() + INIT_TIMEOUT);
        tokio::pin!(timeout);
        let payload = loop {
            let message = tokio::select! {
                message = self.receive() => message?,
                () = &mut timeout => return Err(Some(CloseReason::init_timeout())),
            };
            match message {
                ClientMessage::Init(payload) => break payload,
                ClientMessage::Ping(payload) => {
                    self.send(Subprotocol::pong_message(payload)).await?;
                }
                ClientMessage::Pong | ClientMessage::Complete(_) => {}
                ClientMessage::Subscribe(..) => return Err(Some(CloseReason::not_initialised())),
                ClientMessage::Terminate => return Err(None),
            }
        };
        if let Some(value) = authorization(&payload) {
            requester.caller = authenticate_header(&self.endpoint.app, Some(value)).await;
        }
        if let Some(error) = requester.caller.token_error() {
            let error = &error.user_errors()[0];
            let errors = response::server_errors(vec![error.clone().into()], &requester.request_id);
            if let Some(message) = self.subprotocol.connection_error_message(&errors) {
                self.send(message).await?;
            }
            return Err(Some(CloseReason::authentication_failed(error)));
        }
        requester.secrets.add_init_payload(&payload);
        let permit = self.endpoint.stream_limiter.acquire(&requester);
        let permit = permit.ok_or_else(|| Some(CloseReason::too_many_sockets()))?;
        self.send(Subprotocol::ack_message()).await?;
        Ok((requester, permit))
    }

    /// Runs operations until the connection ends.
    async fn run_operations(&mut self, requester: &Requester) -> ConnectionEnd {
        match self.message_loop(requester).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn message_loop(&mut self, requester: &Requester) -> Result<Infallible, ConnectionEnd> {
        let platform = self.endpoint.app.platform.clone();
        let max = self.endpoint.app.config.graphql.stream_limits.max_operations_per_socket;
        let mut operations: StreamMap<String, BoxStream<'static, StreamItem>> = StreamMap::new();
        let mut keep_alive = platform.clock.sleep_until(platform.now() + KEEP_ALIVE);
        let mut is_silent = false;
        loop {
            tokio::select! {
                message = self.receive() => {
                    is_silent = false;
                    match message? {
                        ClientMessage::Init(_) => {
                            return Err(Some(CloseReason::repeated_init()));
                        }
                        ClientMessage::Subscribe(id, _) if operations.contains_key(&id) => {
                            return Err(Some(CloseReason::repeated_id(&id)));
                        }
                        ClientMessage::Subscribe(id, _) if operations.len() >= max => {
                            let message = format!("At most {max} operations run at once here.");
                            let error = UserError::new(ErrorCode::RateLimited, message);
                            let errors = response::server_errors(vec![error.into()], &requester.request_id);
                            self.send(self.subprotocol.error_message(&id, &errors)).await?;
                        }
                        ClientMessage::Subscribe(id, request) => {
                            let operation = self.endpoint.run_socket_operation(*request, requester.clone());
                            operations.insert(id, operation);
                        }
                        ClientMessage::Complete(id) => drop(operations.remove(&id)),
                        ClientMessage::Ping(payload) => self.send(Subprotocol::pong_message(payload)).await?,
                        ClientMessage::Pong => {}
                        ClientMessage::Terminate => return Err(Some(CloseReason::terminated())),
                    }
                }
                Some((id, item)) = operations.next() => {
                    let message = match &item {
                        StreamItem::Next(json) => self.subprotocol.next_message(&id, json),
                        StreamItem::Error(errors) => self.subprotocol.error_message(&id, errors),
                        StreamItem::Complete => Subprotocol::complete_message(&id),
                    };
                    if !matches!(item, StreamItem::Next(_)) {
                        operations.remove(&id);
                    }
                    self.send(message).await?;
                }
                () = &mut keep_alive => {
                    if is_silent {
                        return Err(None);
                    }
                    is_silent = true;
                    self.write(Message::Ping(Bytes::new())).await?;
                    keep_alive = platform.clock.sleep_until(platform.now() + KEEP_ALIVE);
                }
            }
        }
    }

    /// Receives the next message.
    async fn receive(&mut self) -> Result<ClientMessage, ConnectionEnd> {
        let invalid = |reason: String| Some(CloseReason::invalid_message(reason));
        loop {
            match self.read().await? {
                Some(Ok(Message::Text(text))) => {
                    return self.subprotocol.parse(&text).map_err(invalid);
                }
                Some(Ok(Message::Binary(_))) => {
                    return Err(invalid("Messages are text.".into()));
                }
                // The library has sent the pong.
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Pong(_))) => return Ok(ClientMessage::Pong),
                Some(Ok(Message::Close(_))) => {
                    // Sends the close frame in return.
                    let _ = self.socket.recv().await;
                    return Err(None);
                }
                None => return Err(None),
                Some(Err(_)) => {
                    let max = MAX_MESSAGE_LEN;
                    return Err(invalid(format!(
                        "A message was malformed, or longer than {max} bytes."
                    )));
                }
            }
        }
    }

    /// Reads the next message or control frame. The library does not show the fragments of a message, which it keeps
    /// until the last one: that a client never completes it shows in the bytes that come.
    async fn read(&mut self) -> Result<Option<Result<Message, axum::Error>>, ConnectionEnd> {
        let (clock, watch) = (&self.endpoint.app.platform.clock, &self.watch);
        let mut received = pin!(self.socket.recv());
        let mut alarm = None;
        poll_fn(|cx| {
            if let Poll::Ready(message) = received.as_mut().poll(cx) {
                watch.record_message();
                return Poll::Ready(Ok(message));
            }
            let Some(since) = watch.incomplete_since() else { return Poll::Pending };
            let alarm = alarm.get_or_insert_with(|| {
                let rest = (since + MESSAGE_TIMEOUT).saturating_sub(clock.uptime());
                clock.sleep_until(clock.now() + rest)
            });
            ready!(alarm.as_mut().poll(cx));
            Poll::Ready(Err(Some(CloseReason::incomplete_message())))
        })
        .await
    }

    async fn send(&mut self, text: String) -> Result<(), ConnectionEnd> {
        self.write(Message::Text(text.into())).await
    }

    /// Writes a message. The connection ends if the client does not read it in time.
    async fn write(&mut self, message: Message) -> Result<(), ConnectionEnd> {
        let platform = &self.endpoint.app.platform;
        tokio::select! {
            biased;
            sent = self.socket.send(message) => sent.map_err(|_| None),
            () = platform.clock.sleep_until(platform.now() + WRITE_TIMEOUT) => Err(None),
        }
    }

    /// Sends the reason, and waits for the client's close frame.
    async fn close(mut self, CloseReason { code, reason }: CloseReason) {
        let platform = self.endpoint.app.platform.clone();
        let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let closing = async {
            if self.socket.send(frame).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        tokio::select! {
            () = closing => {}
            () = platform.clock.sleep_until(platform.now() + CLOSE_TIMEOUT) => {}
        }
    }
}
