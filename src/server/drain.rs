//! Drains the unread part of a rejected body, within limits. A client that is still sending does not read the response
//! yet, and closing the connection with unread bytes would lose the response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;

use super::body;
use crate::app::App;

const MAX_DRAINED_BYTES: usize = 64 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A request body that can be drained after the response.
#[derive(Clone)]
pub struct DrainableBody(Arc<Mutex<DrainState>>);

struct DrainState {
    body: Body,
    was_polled: bool,
    has_ended: bool,
}

impl DrainableBody {
    pub fn new(body: Body) -> Self {
        let has_ended = body.is_end_stream();
        Self(Arc::new(Mutex::new(DrainState { body, was_polled: false, has_ended })))
    }

    /// The body for the handler.
    pub fn to_body(&self) -> Body {
        Body::new(self.clone())
    }

    /// Whether the client is sending bytes that the handler has not read. With `Expect: 100-continue` the client
    /// sends none before the handler reads.
    pub fn has_unread_bytes(&self, expects_continue: bool) -> bool {
        let state = self.0.lock();
        !state.has_ended && (state.was_polled || !expects_continue)
    }

    /// The response, ending only when the request body is drained.
    pub fn drain_after(self, app: Arc<App>, response: Response) -> Response {
        let (mut head, response_body) = response.into_parts();
        // With a Content-Length, hyper would end the response before draining.
        head.headers.remove(axum::http::header::CONTENT_LENGTH);
        let drain = async move {
            let chunks = body::chunks(app, self.to_body(), MAX_DRAINED_BYTES, DRAIN_TIMEOUT);
            let _ = chunks.try_for_each(async |_| Ok(())).await;
            Ok(Bytes::new())
        };
        let drained = stream::once(drain).filter(|_| std::future::ready(false));
        Response::from_parts(
            head,
            Body::from_stream(response_body.into_data_stream().chain(drained)),
        )
    }
}

impl HttpBody for DrainableBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.0.lock();
        state.was_polled = true;
        let frame = Pin::new(&mut state.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || state.body.is_end_stream() {
            state.has_ended = true;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().has_ended
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}
