//! The transports of GraphQL: HTTP with JSON or files, server-sent events, multipart streams, and WebSockets.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::endpoint::Endpoint;
use crate::server::request_id::RequestId;

mod http;
mod multipart_stream;
mod socket;
mod sse;
mod stream_event;
mod stream_response;
mod uploads;

/// Handles every request to `/graphql`.
pub async fn handle(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let id = RequestId::from_extensions(request.extensions());
    let response = match socket::is_upgrade(&request) {
        true => socket::upgrade(&endpoint, request).await,
        false => {
            let (parts, body) = request.into_parts();
            http::handle(&endpoint, &parts, body).await
        }
    };
    response.unwrap_or_else(|rejection| rejection.into_response(&id))
}
