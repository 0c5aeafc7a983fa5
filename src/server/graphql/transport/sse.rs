//! Encodes server-sent events: graphql-sse in distinct connections mode, one response for each operation.
//! `stream_response` sends them.

use async_graphql::ServerError;
use serde_json::json;

use super::stream_event::{Chunk, StreamEvent};
use crate::server::graphql::execution::StreamItem;

/// The media type of the response.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";
/// The beginning of the body, an empty comment: the client sees at once that the stream is open.
pub const OPENING: &str = EMPTY_COMMENT;
const EMPTY_COMMENT: &str = ":\n\n";
const COMPLETE: &str = "event: complete\ndata:\n\n";

/// Encodes an event.
pub fn encode(event: StreamEvent) -> Chunk {
    match event {
        StreamEvent::Item(StreamItem::Next(json)) => Chunk::next(next_event(&json)),
        StreamEvent::Item(StreamItem::Complete) => Chunk::last(COMPLETE.to_owned()),
        StreamEvent::Item(StreamItem::Error(errors)) | StreamEvent::SessionEnded(errors) => {
            Chunk::last(error_events(&errors))
        }
        StreamEvent::KeepAlive => Chunk::next(EMPTY_COMMENT.to_owned()),
    }
}

fn next_event(json: &str) -> String {
    format!("event: next\ndata: {json}\n\n")
}

/// The last two events of a response: the errors, and that it is complete.
fn error_events(errors: &[ServerError]) -> String {
    next_event(&json!({ "errors": errors }).to_string()) + COMPLETE
}
