//! What makes two requests for a new access token the same.

use crate::ids::ConnectionId;

/// A request to replace the access token that a caller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefreshKey {
    /// The connection.
    pub connection: ConnectionId,
    /// The version of the credentials that are to be replaced. With another one, they were replaced already.
    pub seen_version: i32,
    /// Why they are to be replaced.
    pub cause: RefreshCause,
}

/// Why an access token is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshCause {
    /// A job found it due. It does not wait for other instances.
    Due,
    /// A call needs one, and there is none or it expires now.
    Expired,
    /// The provider refused it.
    Unauthorized,
    /// The holder of the secret asked for it: also during a back-off, and when the last attempt was refused.
    Requested,
}
