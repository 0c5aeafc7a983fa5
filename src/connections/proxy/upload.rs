//! The body of a caller's request, on its way to the provider. A request can be sent again until an attempt has begun to
//! read its body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;

use crate::platform::files::Bytes;
use crate::platform::outbound::Body;

/// The body of a request.
pub struct Upload(Arc<Mutex<State>>);

/// The body of one attempt to send the request.
struct AttemptBody {
    upload: Arc<Mutex<State>>,
    attempt: u32,
}

struct State {
    stream: Option<BoxStream<'static, io::Result<Bytes>>>,
    /// The number of the latest attempt. An earlier one that is still being sent gets nothing.
    attempt: u32,
    was_read: bool,
    /// Whether the caller broke off.
    was_cut: bool,
    has_ended: bool,
    reader: Option<Waker>,
}

impl Upload {
    /// A body, if the request has one.
    pub fn new(stream: Option<BoxStream<'static, io::Result<Bytes>>>) -> Self {
        let has_ended = stream.is_none();
        Self(Arc::new(Mutex::new(State {
            stream,
            attempt: 0,
            was_read: false,
            was_cut: false,
            has_ended,
            reader: None,
        })))
    }

    /// The body of one attempt to send the request.
    pub fn to_body(&self) -> Body {
        if self.0.lock().stream.is_none() {
            return Body::default();
        }
        Body::Stream(self.start_attempt().boxed())
    }

    fn start_attempt(&self) -> AttemptBody {
        let mut state = self.0.lock();
        state.attempt += 1;
        AttemptBody { upload: self.0.clone(), attempt: state.attempt }
    }

    /// Whether the request can be sent again: it has no body, or nobody has begun to read it.
    pub fn is_unread(&self) -> bool {
        !self.0.lock().was_read
    }

    /// Whether the caller broke off in the middle of the body.
    pub fn was_cut(&self) -> bool {
        self.0.lock().was_cut
    }

    /// Ends the body for its reader, if there still is one: the answer is complete.
    pub fn close(&self) {
        let (stream, reader) = {
            let mut state = self.0.lock();
            (state.stream.take(), state.reader.take())
        };
        drop(stream);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Stream for AttemptBody {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.upload.lock();
        if self.attempt != state.attempt {
            return Poll::Ready(Some(Err(io::Error::other("the request was sent again"))));
        }
        state.was_read = true;
        state.reader = Some(cx.waker().clone());
        let Some(stream) = &mut state.stream else {
            let closed = || io::Error::other("the answer came before the end of the request");
            return Poll::Ready((!state.has_ended).then(|| Err(closed())));
        };
        let next = stream.poll_next_unpin(cx);
        match &next {
            Poll::Ready(None) => {
                state.has_ended = true;
                state.stream = None;
            }
            Poll::Ready(Some(Err(_))) => state.was_cut = true,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;

    #[test]
    fn a_body_can_be_sent_again_until_it_is_read() {
        let upload = Upload::new(Some(stream::iter([Ok(Bytes::from("a"))]).boxed()));
        let mut earlier = upload.start_attempt();
        let mut reader = upload.start_attempt();
        assert!(earlier.next().now_or_never().flatten().expect("an end").is_err());
        assert!(upload.is_unread());
        assert_eq!(reader.next().now_or_never().flatten().expect("a part").expect("bytes"), "a");
        assert!(!upload.is_unread());
        assert!(reader.next().now_or_never().expect("ready").is_none());
        upload.close();
        assert!(reader.next().now_or_never().expect("ready").is_none());
    }

    #[test]
    fn a_closed_body_ends_with_an_error() {
        let upload = Upload::new(Some(stream::pending().boxed()));
        let mut reader = upload.start_attempt();
        assert!(reader.next().now_or_never().is_none());
        upload.close();
        assert!(reader.next().now_or_never().flatten().expect("an end").is_err());
        assert!(Upload::new(None).is_unread());
    }
}
