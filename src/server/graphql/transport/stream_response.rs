//! A stream of responses in one HTTP response: `sse` or `multipart_stream` encodes it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};

use super::stream_event::{Chunk, StreamEvent};
use super::{multipart_stream, sse};
use crate::accounts::SessionEnd;
use crate::error::{ErrorCode, UserError};
use crate::server::graphql::endpoint::Endpoint;
use crate::server::graphql::execution::StreamItem;
use crate::server::graphql::request::accept::StreamType;
use crate::server::graphql::request::concurrency_limiter::ConcurrencyPermit;
use crate::server::graphql::request::requester::Requester;
use crate::server::graphql::response;

/// How long a stream may be silent: proxies close connections that are silent for a minute.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(12);

static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The state of an open stream.
struct StreamState {
    endpoint: Arc<Endpoint>,
    requester: Requester,
    items: BoxStream<'static, StreamItem>,
    session_ended: BoxFuture<'static, SessionEnd>,
    stream_type: StreamType,
    _permit: ConcurrencyPermit,
}

/// Responds with the items of an operation, each as soon as it is there.
pub fn respond(
    endpoint: &Arc<Endpoint>,
    requester: &Requester,
    items: BoxStream<'static, StreamItem>,
    stream_type: StreamType,
    permit: ConcurrencyPermit,
) -> Response {
    // The opening is sent at once, so that the client knows that the stream is open.
    let (content_type, opening) = match stream_type {
        StreamType::Events => (sse::CONTENT_TYPE, sse::OPENING),
        StreamType::Multipart => (multipart_stream::CONTENT_TYPE, multipart_stream::OPENING),
    };
    let state = StreamState {
        endpoint: endpoint.clone(),
        requester: requester.clone(),
        items,
        session_ended: endpoint.session_ended(requester),
        stream_type,
        _permit: permit,
    };
    let chunks = stream::unfold(Some(state), async |state| {
        let mut state = state?;
        let chunk = state.next_chunk().await?;
        Some((chunk.text, (!chunk.is_last).then_some(state)))
    });
    let opening = stream::once(std::future::ready(opening.to_owned()));
    let body = Body::from_stream(opening.chain(chunks).map(Ok::<_, std::convert::Infallible>));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // Without it, nginx buffers the response.
        (X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

impl StreamState {
    /// The next chunk of the body. `None` when the server stops: the response ends without a final event, so that the
    /// client reconnects.
    async fn next_chunk(&mut self) -> Option<Chunk> {
        let platform = &self.endpoint.app.platform;
        let event = tokio::select! {
            item = self.items.next() => StreamEvent::Item(item.unwrap_or(StreamItem::Complete)),
            end = &mut self.session_ended => StreamEvent::SessionEnded(self.session_errors(end)),
            () = platform.clock.sleep_until(platform.now() + KEEP_ALIVE_INTERVAL) => {
                StreamEvent::KeepAlive
            }
            () = self.endpoint.app.stopping.cancelled() => return None,
        };
        Some(match self.stream_type {
            StreamType::Events => sse::encode(event),
            StreamType::Multipart => multipart_stream::encode(event),
        })
    }

    fn session_errors(&self, end: SessionEnd) -> Vec<async_graphql::ServerError> {
        let code = match end {
            SessionEnd::Ended => ErrorCode::Unauthenticated,
            SessionEnd::AccountDeleted => ErrorCode::AccountDeleted,
        };
        let error = UserError::new(code, end.reason());
        response::server_errors(vec![error.into()], &self.requester.request_id)
    }
}
