//! Events of a streamed response, before and after they are encoded.

use async_graphql::ServerError;

use crate::server::graphql::execution::StreamItem;

/// What a streamed response sends next.
pub enum StreamEvent {
    /// An item of the operation.
    Item(StreamItem),
    /// A sign of life.
    KeepAlive,
    /// The session has ended, and the stream with it.
    SessionEnded(Vec<ServerError>),
}

/// An encoded event.
pub struct Chunk {
    /// The bytes to send.
    pub text: String,
    /// Whether the response ends after it.
    pub is_last: bool,
}

impl Chunk {
    /// A chunk that others follow.
    pub fn next(text: String) -> Self {
        Self { text, is_last: false }
    }

    /// The last chunk.
    pub fn last(text: String) -> Self {
        Self { text, is_last: true }
    }
}
