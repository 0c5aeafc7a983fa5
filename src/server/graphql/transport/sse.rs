//! Server-sent events: the distinct connections mode of graphql-sse.

use async_graphql::ServerError;
use serde_json::json;

use super::stream_event::{Chunk, StreamEvent};
use crate::server::graphql::execution::StreamItem;

/// The media type of the response.
pub const CONTENT_TYPE: &str = "text/event-stream; charset=utf-8";
/// The beginning of the body.
pub const OPENING: &str = ":\n\n";
const COMPLETE: &str = "event: complete\ndata:\n\n";

/// Encodes an event.
pub fn encode(event: StreamEvent) -> Chunk {
    match event {
        StreamEvent::Item(StreamItem::Next(json)) => Chunk::next(next_event(&json)),
        StreamEvent::Item(StreamItem::Complete) => Chunk::last(COMPLETE.to_owned()),
        StreamEvent::Item(StreamItem::Error(errors)) | StreamEvent::SessionEnded(errors) => {
            Chunk::last(error_event(&errors))
        }
        StreamEvent::KeepAlive => Chunk::next(":\n\n".to_owned()),
    }
}

fn next_event(json: &str) -> String {
    format!("event: next\ndata: {json}\n\n")
}

fn error_event(errors: &[ServerError]) -> String {
    next_event(&json!({ "errors": errors }).to_string()) + COMPLETE
}
