//! Opens WebSockets: checks the upgrade request and its Origin. `connection` runs the socket, `protocol` has the
//! messages of the two subprotocols, `close_reason` the reasons for closing.

use std::sync::Arc;

use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::GraphQLProtocol;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::error::{ErrorCode, UserError};
use crate::server::connection_watch::ConnectionWatch;
use crate::server::graphql::endpoint::Endpoint;
use crate::server::graphql::rejection::Rejection;
use crate::server::graphql::request::requester::Requester;
use connection::{Connection, MAX_FRAME_LEN, MAX_MESSAGE_LEN};
use protocol::Subprotocol;

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
/// from a page of a foreign origin. A bad token is rejected only after `connection_init`, which may carry another.
pub async fn upgrade(endpoint: &Arc<Endpoint>, request: Request) -> Result<Response, Rejection> {
    let (mut parts, _) = request.into_parts();
    let no_subprotocol = || {
        let names = ALL_WEBSOCKET_PROTOCOLS.join(" or ");
        let message = format!("Ask for the subprotocol {names} (Sec-WebSocket-Protocol).");
        Rejection::bad_request(StatusCode::BAD_REQUEST, message)
    };
    if GraphQLProtocol::from_request_parts(&mut parts, &()).await.is_err() {
        return Err(no_subprotocol());
    }
    // The extractor ignores the case of names, the handshake does not.
    let (name, subprotocol) = select_subprotocol(&parts.headers).ok_or_else(no_subprotocol)?;
    let origin = parts.headers.get(header::ORIGIN);
    if origin.is_some_and(|origin| !endpoint.origins.allows(origin, &parts)) {
        let error = UserError::new(ErrorCode::Forbidden, "Pages of this origin may not connect.");
        return Err(Rejection::new(StatusCode::FORBIDDEN, error));
    }
    let requester = Requester::authenticate(&endpoint.app, &parts).await;
    let mut upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|error| Rejection::bad_request(error.status(), error.body_text()))?
        .max_message_size(MAX_MESSAGE_LEN)
        .max_frame_size(MAX_FRAME_LEN)
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(0);
    upgrade.set_selected_protocol(name);
    let watch = parts.extensions.get::<Arc<ConnectionWatch>>();
    let watch = watch.expect("our listener serves every connection that can be upgraded").clone();
    let endpoint = endpoint.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        let (tasks, sockets) = (endpoint.app.tasks.clone(), endpoint.app.sockets.clone());
        let connection = Connection::new(endpoint, subprotocol, socket, watch).run(requester);
        tasks.track_future(sockets.track_future(connection))
    }))
}

/// The first subprotocol of the client's list, which has the order of its preference, that is spoken here.
fn select_subprotocol(headers: &HeaderMap) -> Option<(HeaderValue, Subprotocol)> {
    let mut names = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?.split(',');
    names.find_map(|name| {
        let name = name.trim();
        Some((HeaderValue::from_str(name).ok()?, Subprotocol::from_name(name)?))
    })
}
