//! Error of a request that cannot run: what the client gets, and its position in the document.

use async_graphql::Pos;

use crate::error::UserError;

/// The most errors of a request or in a response. More would not help a developer.
pub const MAX_ERRORS: usize = 20;

/// An error of a request, found before anything runs.
#[derive(Debug)]
pub struct RequestError {
    /// What the client gets.
    pub user_error: UserError,
    /// Where in the document it is, if it is in one place.
    pub position: Option<Pos>,
}

impl RequestError {
    /// An error at a position of the document.
    pub fn at(user_error: UserError, position: Pos) -> Self {
        Self { user_error, position: Some(position) }
    }
}

impl From<UserError> for RequestError {
    fn from(user_error: UserError) -> Self {
        Self { user_error, position: None }
    }
}
