//! Encodes parts of multipart streams, for Apollo's multipart subscriptions. `stream_response` sends them.
//!
//! Apollo Client handles a part only when it has read the boundary after it. So the boundary is sent with each part,
//! not before the next one.

use serde_json::json;

use super::stream_event::{Chunk, StreamEvent};
use crate::server::graphql::execution::StreamItem;

/// The media type of the response.
pub const CONTENT_TYPE: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0";
/// The beginning of the body.
pub const OPENING: &str = "--graphql";
const END: &str = "--\r\n";

/// Encodes an event.
pub fn encode(event: StreamEvent) -> Chunk {
    match event {
        StreamEvent::Item(StreamItem::Next(json)) => {
            Chunk::next(part(&format!("{{\"payload\":{json}}}")))
        }
        StreamEvent::Item(StreamItem::Error(errors)) => {
            last_part(&json!({ "payload": { "errors": errors } }))
        }
        StreamEvent::Item(StreamItem::Complete) => Chunk::last(END.to_owned()),
        StreamEvent::KeepAlive => Chunk::next(part("{}")),
        StreamEvent::SessionEnded(errors) => {
            last_part(&json!({ "payload": null, "errors": errors }))
        }
    }
}

fn part(json: &str) -> String {
    format!("\r\ncontent-type: application/json\r\n\r\n{json}\r\n--graphql")
}

fn last_part(json: &serde_json::Value) -> Chunk {
    Chunk::last(part(&json.to_string()) + END)
}
