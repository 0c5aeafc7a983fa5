//! Close codes and reasons of sockets.

use crate::accounts::{SESSION_ENDED, SessionEnd};
use crate::error::{ErrorCode, UserError};

/// The longest reason of a close frame (RFC 6455, section 5.5).
const MAX_REASON_LEN: usize = 123;

/// Why the server closes a socket. The npm client graphql-ws reconnects after 1001, 1013, 4403 and 4408, and gives up
/// after 4400, 4401, 4409 and 4429.
pub struct CloseReason {
    /// The close code.
    pub code: u16,
    /// The text of the reason.
    pub reason: String,
}

impl CloseReason {
    /// The client asked for the end of the connection (the subprotocol `graphql-ws` only).
    pub fn terminated() -> Self {
        Self::new(1000, "")
    }

    /// The server is stopping.
    pub fn stopping() -> Self {
        Self::new(1001, "The server is stopping.")
    }

    /// The requester has the maximum of open sockets.
    pub fn too_many_sockets() -> Self {
        Self::new(1013, "Too many sockets are open. Close one, or come back later.")
    }

    /// The client sent an invalid message.
    pub fn invalid_message(reason: String) -> Self {
        Self::new(4400, reason)
    }

    /// The client began a message and did not complete it in time.
    pub fn incomplete_message() -> Self {
        Self::invalid_message("A message was not complete in time.".into())
    }

    /// The client sent an operation before the connection was acknowledged.
    pub fn not_initialised() -> Self {
        Self::new(4401, "Unauthorized")
    }

    /// The session has ended.
    pub fn session_ended(end: SessionEnd) -> Self {
        Self::new(4401, end.reason())
    }

    /// The token was not accepted, because of this error. The code says whether another token, or a later attempt, can
    /// help.
    pub fn authentication_failed(error: &UserError) -> Self {
        let code = match (error.code, error.reason) {
            (ErrorCode::AccountDeleted, _) | (ErrorCode::Unauthenticated, Some(SESSION_ENDED)) => {
                4401
            }
            (ErrorCode::Unauthenticated, _) => 4403,
            _ => 1013,
        };
        Self::new(code, &*error.message)
    }

    /// The client did not initialise the connection in time.
    pub fn init_timeout() -> Self {
        Self::new(4408, "Connection initialisation timeout")
    }

    /// An operation with this id is running already.
    pub fn repeated_id(id: &str) -> Self {
        Self::new(4409, format!("Subscriber for {id} already exists"))
    }

    /// The client initialised the connection twice.
    pub fn repeated_init() -> Self {
        Self::new(4429, "Too many initialisation requests")
    }

    /// A code and a reason, which is cut to the length of a close frame.
    fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_LEN));
        Self { code, reason }
    }
}
