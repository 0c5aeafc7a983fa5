//! What becomes of a body that is refused: a client that is still sending does not listen, and a connection
//! that is closed over unread bytes takes the answer with it. So the rest is read and thrown away behind the
//! answer, within bounds.

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

/// The most that is thrown away, and for how long.
const MOST_BYTES: usize = 64 << 20;
const AT_MOST: Duration = Duration::from_secs(10);

/// A request's body, of which something may be left when the answer is there.
#[derive(Clone)]
pub struct Rest(Arc<Mutex<Incoming>>);

struct Incoming {
    body: Body,
    was_asked_for: bool,
    has_ended: bool,
}

impl Rest {
    /// Of a body of which nothing was read.
    pub fn of(body: Body) -> Self {
        let has_ended = body.is_end_stream();
        Self(Arc::new(Mutex::new(Incoming { body, was_asked_for: false, has_ended })))
    }

    /// The body, for whom it is meant.
    pub fn body(&self) -> Body {
        Body::new(self.clone())
    }

    /// Whether a client is sending something that nobody reads. One that `waits` to be asked for its body
    /// sends none before.
    pub fn is_coming(&self, waits: bool) -> bool {
        let incoming = self.0.lock();
        !incoming.has_ended && (incoming.was_asked_for || !waits)
    }

    /// An answer that is over when the rest was read, or enough of it.
    pub fn behind(self, app: Arc<App>, response: Response) -> Response {
        let (mut head, answer) = response.into_parts();
        // A length would end the answer too early.
        head.headers.remove(axum::http::header::CONTENT_LENGTH);
        let drain = async move {
            let parts = body::parts(app, self.body(), MOST_BYTES, AT_MOST);
            let _ = parts.try_for_each(async |_| Ok(())).await;
            Ok(Bytes::new())
        };
        let rest = stream::once(drain).filter(|_| std::future::ready(false));
        Response::from_parts(head, Body::from_stream(answer.into_data_stream().chain(rest)))
    }
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut incoming = self.0.lock();
        incoming.was_asked_for = true;
        let frame = Pin::new(&mut incoming.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || incoming.body.is_end_stream() {
            incoming.has_ended = true;
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
