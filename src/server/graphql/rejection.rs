//! Rejections: requests to `/graphql` that are answered with an HTTP error and not with a GraphQL response.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;

use super::response::{ErrorsOnly, server_errors};
use crate::error::{ErrorCode, UserError};
use crate::server::body::BodyError;
use crate::server::request_id::RequestId;

/// Why a request is rejected: a status and an error.
pub struct Rejection {
    status: StatusCode,
    error: UserError,
    header: Option<(header::HeaderName, HeaderValue)>,
}

impl From<BodyError> for Rejection {
    fn from(problem: BodyError) -> Self {
        Self::new(problem.status(), problem.user_error())
    }
}

impl Rejection {
    /// The code BAD_REQUEST, with any status: the request or its transport is malformed.
    pub fn bad_request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, UserError::new(ErrorCode::BadRequest, message))
    }

    /// A rejection with this status and error.
    pub fn new(status: StatusCode, error: UserError) -> Self {
        Self { status, error, header: None }
    }

    /// The method is not allowed; those in `allow` are.
    pub fn method_not_allowed(message: &str, allow: &'static str) -> Self {
        let allow = (header::ALLOW, HeaderValue::from_static(allow));
        Self { header: Some(allow), ..Self::bad_request(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// There is no valid access token.
    pub fn unauthenticated(error: UserError) -> Self {
        let scheme = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Self { header: Some(scheme), ..Self::new(StatusCode::UNAUTHORIZED, error) }
    }

    /// The HTTP response, with Retry-After if the error has one. It is not a GraphQL response, so its media type is
    /// `application/json`.
    pub fn into_response(self, id: &RequestId) -> axum::response::Response {
        let retry_after = self.error.retry_after;
        let errors = server_errors(vec![self.error.into()], id);
        let mut response =
            (self.status, axum::Json(ErrorsOnly { errors: &errors })).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        if let Some(retry_after) = retry_after {
            let seconds = HeaderValue::from(retry_after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
