//! GraphQL over WebSockets, `graphql-transport-ws` and the older `graphql-ws`.
//!
//! async-graphql's own driver is not used: its close codes send clients away that should come back, a
//! second operation of the same id replaces the first, nothing bounds time, size or number, and a session
//! that has ended stays open. One task drives one socket and holds nothing back: an answer is made when
//! the one before it is on its way, so a slow client slows its own operations and nobody else's memory.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::GraphQLProtocol;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{StatusCode, header};
use axum::response::Response;
use futures_util::stream::BoxStream;
use tokio_stream::{StreamExt, StreamMap};

use super::Endpoint;
use super::answer::{self, Refusal};
use super::http::MOST_BYTES;
use super::operation::{Asker, Step};
use super::slots::Slot;
use crate::accounts::{Over, SESSION_ENDED};
use crate::api::Caller;
use crate::error::{ErrorCode, Failure};
use crate::server::caller;
use protocol::{Protocol, Said, authorization};

mod protocol;

/// How long a client may take to say who it is.
const INIT_WITHIN: Duration = Duration::from_secs(3);
/// How often a socket is asked whether it is there. One that was silent for two of these is gone.
const BEAT: Duration = Duration::from_secs(25);
/// How long a client may take to read one message, and to say goodbye.
const READ_WITHIN: Duration = Duration::from_secs(15);
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// The longest reason of a closing (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;
/// What is read of a message that is too long, so that the client hears why: whose connection ends over
/// unread bytes hears nothing.
const MOST_READ: usize = 4 * MOST_BYTES;
/// What a socket keeps for reading, at least: most messages are short.
const READ_BUFFER: usize = 1024;

/// Why a socket is closed. Clients of graphql-ws come back after 1001, 1013, 4403 and 4408, and give up
/// after the others.
struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        Self { code, reason }
    }

    fn invalid(reason: String) -> Self {
        Self::new(4400, reason)
    }

    fn stopping() -> Self {
        Self::new(1001, "The server is stopping.")
    }
}

/// The end of a conversation: a closing of ours, or the client is gone.
type End = Option<Close>;

/// Whether a request asks for a WebSocket.
pub fn is_asked_for(request: &Request) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers a request for a WebSocket.
///
/// # Errors
/// When it does not follow RFC 6455, asks for no subprotocol of ours, or comes from a foreign page.
pub async fn upgrade(endpoint: &Arc<Endpoint>, request: Request) -> Result<Response, Refusal> {
    let (mut parts, _) = request.into_parts();
    let no_protocol = || {
        let names = ALL_WEBSOCKET_PROTOCOLS.join(" or ");
        let message = format!("Ask for the subprotocol {names} (Sec-WebSocket-Protocol).");
        Refusal::new(StatusCode::BAD_REQUEST, message)
    };
    if GraphQLProtocol::from_request_parts(&mut parts, &()).await.is_err() {
        return Err(no_protocol());
    }
    if parts.headers.get(header::ORIGIN).is_some_and(|origin| !endpoint.origins.allows(origin)) {
        let failure = Failure::new(ErrorCode::Forbidden, "Pages of this origin may not connect.");
        return Err(Refusal::because(StatusCode::FORBIDDEN, failure));
    }
    let asker = endpoint.asker(&parts).await;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|error| Refusal::new(error.status(), error.body_text()))?
        .protocols(ALL_WEBSOCKET_PROTOCOLS)
        .max_message_size(MOST_READ)
        .max_frame_size(MOST_READ)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0);
    // The extractor takes names in any case, the handshake does not.
    let protocol = upgrade
        .selected_protocol()
        .and_then(|name| Protocol::of(name.to_str().ok()?))
        .ok_or_else(no_protocol)?;
    let (tasks, endpoint) = (endpoint.app.tasks.clone(), endpoint.clone());
    Ok(upgrade.on_upgrade(move |socket| {
        tasks
            .track_future(Conversation { endpoint, protocol, socket: Box::new(socket) }.hold(asker))
    }))
}

struct Conversation {
    endpoint: Arc<Endpoint>,
    protocol: Protocol,
    /// In a box: the task would have room for each place that it passes through.
    socket: Box<WebSocket>,
}

impl Conversation {
    async fn hold(mut self, asker: Asker) {
        let id = asker.id.clone();
        let end = self.converse(asker).await;
        let code = end.as_ref().map(|close| close.code);
        tracing::info!(id = %id.0, code, "socket closed");
        if let Some(close) = end {
            self.say_goodbye(close).await;
        }
    }

    async fn converse(&mut self, asker: Asker) -> End {
        let stopping = self.endpoint.app.stopping.clone();
        let (asker, _slot) = tokio::select! {
            // In a box, which is gone when the client is in.
            let_in = Box::pin(self.init(asker)) => match let_in {
                Ok(let_in) => let_in,
                Err(end) => return end,
            },
            () = stopping.cancelled() => return Some(Close::stopping()),
        };
        let over = self.endpoint.session_over(&asker);
        tokio::select! {
            end = self.operate(&asker) => end,
            over = over => Some(session_is_over(over)),
            () = stopping.cancelled() => Some(Close::stopping()),
        }
    }

    /// Learns who the client is, and lets it in. Who is not to stay is not let in first: a client that was
    /// would come back at once.
    async fn init(&mut self, mut asker: Asker) -> Result<(Asker, Slot), End> {
        let platform = self.endpoint.app.platform.clone();
        let too_late = platform.clock.sleep_until(platform.now() + INIT_WITHIN);
        tokio::pin!(too_late);
        let payload = loop {
            let said = tokio::select! {
                said = self.listen() => said?,
                () = &mut too_late => {
                    return Err(Some(Close::new(4408, "Connection initialisation timeout")));
                }
            };
            match said {
                Said::Init(payload) => break payload,
                Said::Ping(payload) => self.send(Protocol::pong(payload)).await?,
                Said::Pong | Said::Complete(_) => {}
                Said::Subscribe(..) => return Err(Some(Close::new(4401, "Unauthorized"))),
                Said::Terminate => return Err(None),
            }
        };
        if let Some(value) = authorization(&payload) {
            asker.caller = caller::authorized(&self.endpoint.app, Some(value)).await;
        }
        if let Caller::Refused(error) = &asker.caller {
            let failure = &error.failures()[0];
            let code = match (failure.code, failure.reason) {
                (ErrorCode::AccountDeleted, _)
                | (ErrorCode::Unauthenticated, Some(SESSION_ENDED)) => 4401,
                (ErrorCode::Unauthenticated, _) => 4403,
                _ => 1013,
            };
            let errors = answer::errors(vec![(failure.clone(), None)], &asker.id);
            if let Some(refusal) = self.protocol.refusal(&errors) {
                self.send(refusal).await?;
            }
            return Err(Some(Close::new(code, &*failure.message)));
        }
        let slot = self.endpoint.slots.take(&asker).ok_or_else(|| {
            Some(Close::new(1013, "Too many sockets are open. Close one, or come back later."))
        })?;
        self.send(Protocol::ack()).await?;
        Ok((asker, slot))
    }

    /// Runs operations until one side has enough.
    async fn operate(&mut self, asker: &Asker) -> End {
        match self.exchange(asker).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn exchange(&mut self, asker: &Asker) -> Result<std::convert::Infallible, End> {
        let platform = self.endpoint.app.platform.clone();
        let most = self.endpoint.app.config.graphql.streams.operations;
        let mut operations: StreamMap<String, BoxStream<'static, Step>> = StreamMap::new();
        let mut beat = platform.clock.sleep_until(platform.now() + BEAT);
        let mut is_silent = false;
        loop {
            tokio::select! {
                said = self.listen() => {
                    is_silent = false;
                    match said? {
                        Said::Init(_) => {
                            return Err(Some(Close::new(4429, "Too many initialisation requests")));
                        }
                        Said::Subscribe(id, _) if operations.contains_key(&id) => {
                            let reason = format!("Subscriber for {id} already exists");
                            return Err(Some(Close::new(4409, reason)));
                        }
                        Said::Subscribe(id, _) if operations.len() >= most => {
                            let message = format!("At most {most} operations run at once here.");
                            let failure = Failure::new(ErrorCode::RateLimited, message);
                            let errors = answer::errors(vec![(failure, None)], &asker.id);
                            self.send(self.protocol.error(&id, &errors)).await?;
                        }
                        Said::Subscribe(id, question) => {
                            let operation = self.endpoint.operate(*question, asker.clone());
                            operations.insert(id, operation);
                        }
                        Said::Complete(id) => drop(operations.remove(&id)),
                        Said::Ping(payload) => self.send(Protocol::pong(payload)).await?,
                        Said::Pong => {}
                        Said::Terminate => return Err(Some(Close::new(1000, ""))),
                    }
                }
                Some((id, step)) = operations.next() => {
                    let message = match &step {
                        Step::Next(answer) => self.protocol.next(&id, answer),
                        Step::Error(errors) => self.protocol.error(&id, errors),
                        Step::Complete => Protocol::complete(&id),
                    };
                    if !matches!(step, Step::Next(_)) {
                        operations.remove(&id);
                    }
                    self.send(message).await?;
                }
                () = &mut beat => {
                    if is_silent {
                        return Err(None);
                    }
                    is_silent = true;
                    self.write(Message::Ping(Bytes::new())).await?;
                    beat = platform.clock.sleep_until(platform.now() + BEAT);
                }
            }
        }
    }

    /// The next message of the client.
    async fn listen(&mut self) -> Result<Said, End> {
        let invalid = |reason: String| Some(Close::invalid(reason));
        loop {
            match self.socket.recv().await {
                Some(Ok(Message::Text(text))) if text.len() > MOST_BYTES => {
                    return Err(invalid(format!("A message has at most {MOST_BYTES} bytes.")));
                }
                Some(Ok(Message::Text(text))) => {
                    return self.protocol.read(&text).map_err(invalid);
                }
                Some(Ok(Message::Binary(_))) => {
                    return Err(invalid("Messages are text.".into()));
                }
                // A ping was answered already.
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Pong(_))) => return Ok(Said::Pong),
                Some(Ok(Message::Close(_))) => {
                    // Sends the answer that closing has.
                    let _ = self.socket.recv().await;
                    return Err(None);
                }
                None => return Err(None),
                Some(Err(_)) => return Err(invalid("A message was malformed or too long.".into())),
            }
        }
    }

    async fn send(&mut self, text: String) -> Result<(), End> {
        self.write(Message::Text(text.into())).await
    }

    /// Writes a message, unless the client does not read.
    async fn write(&mut self, message: Message) -> Result<(), End> {
        let platform = &self.endpoint.app.platform;
        tokio::select! {
            biased;
            sent = self.socket.send(message) => sent.map_err(|_| None),
            () = platform.clock.sleep_until(platform.now() + READ_WITHIN) => Err(None),
        }
    }

    /// Says why, and waits for the client to have heard it.
    async fn say_goodbye(mut self, Close { code, reason }: Close) {
        let platform = self.endpoint.app.platform.clone();
        let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let goodbye = async {
            if self.socket.send(frame).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        tokio::select! {
            () = goodbye => {}
            () = platform.clock.sleep_until(platform.now() + GOODBYE_WITHIN) => {}
        }
    }
}

fn session_is_over(over: Over) -> Close {
    Close::new(4401, over.reason())
}
