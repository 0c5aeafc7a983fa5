//! Close codes and reasons of sockets.

use crate::accounts::SessionEnd;

/// The longest reason of a close frame (RFC 6455, section 5.5).
const MAX_REASON_LEN: usize = 123;

/// Why the server closes a socket. Clients of graphql-ws reconnect after 1001, 1013, 4403 and 4408, and not after the
/// others.
pub struct CloseReason {
    /// The close code.
    pub code: u16,
    /// The text.
    pub text: String,
}

impl CloseReason {
    /// A reason, cut to the length of a close frame.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(MAX_REASON_LEN));
        Self { code, text }
    }

    /// The client sent an invalid message.
    pub fn invalid_message(text: String) -> Self {
        Self::new(4400, text)
    }

    /// The server is stopping.
    pub fn stopping() -> Self {
        Self::new(1001, "The server is stopping.")
    }

    /// The session has ended.
    pub fn session_ended(end: SessionEnd) -> Self {
        Self::new(4401, end.reason())
    }
}
