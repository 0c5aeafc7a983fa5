//! GraphQL over WebSockets, `graphql-transport-ws` and the older `graphql-ws`.
//!
//! async-graphql's driver is not used: its close codes stop clients that should reconnect, a second operation with the
//! same id replaces the first, nothing limits time, size or number, and a socket stays open when its session ends.

use std::sync::Arc;

use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::GraphQLProtocol;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request};
use axum::http::{StatusCode, header};
use axum::response::Response;

use crate::error::{ErrorCode, UserError};
use crate::server::graphql::endpoint::Endpoint;
use crate::server::graphql::rejection::Rejection;
use crate::server::graphql::request::requester::Requester;
use connection::{Connection, MAX_READ_LEN};
use protocol::Protocol;

mod close_reason;
mod connection;
mod protocol;

/// The read buffer of a socket: most messages are short.
const READ_BUFFER_LEN: usize = 1024;

/// Whether a request opens a WebSocket.
pub fn is_upgrade(request: &Request) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Opens a WebSocket. Rejected if the request does not follow RFC 6455, has no supported subprotocol, or comes
/// from a page of a foreign origin.
pub async fn upgrade(endpoint: &Arc<Endpoint>, request: Request) -> Result<Response, Rejection> {
    let (mut parts, _) = request.into_parts();
    let no_protocol = || {
        let names = ALL_WEBSOCKET_PROTOCOLS.join(" or ");
        let message = format!("Ask for the subprotocol {names} (Sec-WebSocket-Protocol).");
        Rejection::bad_request(StatusCode::BAD_REQUEST, message)
    };
    if GraphQLProtocol::from_request_parts(&mut parts, &()).await.is_err() {
        return Err(no_protocol());
    }
    if parts.headers.get(header::ORIGIN).is_some_and(|origin| !endpoint.origins.allows(origin)) {
        let error = UserError::new(ErrorCode::Forbidden, "Pages of this origin may not connect.");
        return Err(Rejection::from_error(StatusCode::FORBIDDEN, error));
    }
    let requester = Requester::authenticate(&endpoint.app, &parts).await;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|error| Rejection::bad_request(error.status(), error.body_text()))?
        .protocols(ALL_WEBSOCKET_PROTOCOLS)
        .max_message_size(MAX_READ_LEN)
        .max_frame_size(MAX_READ_LEN)
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(0);
    // The extractor ignores the case of names, the handshake does not.
    let protocol = upgrade
        .selected_protocol()
        .and_then(|name| Protocol::from_name(name.to_str().ok()?))
        .ok_or_else(no_protocol)?;
    let (tasks, endpoint) = (endpoint.app.tasks.clone(), endpoint.clone());
    Ok(upgrade.on_upgrade(move |socket| {
        tasks.track_future(Connection::new(endpoint, protocol, socket).run(requester))
    }))
}
