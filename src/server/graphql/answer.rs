//! How an answer is written: codes on every error, keys in the order of the document, no `data` beside an
//! error that kept the operation from running.

use async_graphql::{Response, ServerError};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use super::accept::MediaType;
use super::engine::{Fault, was_executed};
use crate::api::extensions_of;
use crate::error::{ErrorCode, Failure};
use crate::server::body::BodyProblem;
use crate::server::edge::RequestId;

/// More errors than these tell nothing new.
const MOST_ERRORS: usize = 20;

/// A request that is refused before it is GraphQL: its status tells.
pub struct Refusal {
    status: StatusCode,
    failure: Failure,
    header: Option<(header::HeaderName, HeaderValue)>,
}

impl From<BodyProblem> for Refusal {
    fn from(problem: BodyProblem) -> Self {
        Self::because(problem.status(), problem.failure())
    }
}

impl Refusal {
    /// The request is malformed, or its transport is.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self::because(status, Failure::new(ErrorCode::BadRequest, message))
    }

    /// For another reason than the request's form.
    pub fn because(status: StatusCode, failure: Failure) -> Self {
        Self { status, failure, header: None }
    }

    /// The method is wrong; these are right.
    pub fn not_allowed(message: &str, allow: &'static str) -> Self {
        let allow = (header::ALLOW, HeaderValue::from_static(allow));
        Self { header: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// Nobody is signed in.
    pub fn unauthenticated(failure: Failure) -> Self {
        let scheme = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Self { header: Some(scheme), ..Self::because(StatusCode::UNAUTHORIZED, failure) }
    }

    /// A refusal is no GraphQL answer, so its media type is plain JSON.
    pub fn into_response(self, id: &RequestId) -> axum::response::Response {
        let wait = self.failure.retry_after;
        let errors = errors(vec![(self.failure, None)], id);
        let mut response =
            (self.status, axum::Json(Unexecuted { errors: &errors })).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        if let Some(wait) = wait {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// An answer without `data`: nothing was executed.
#[derive(Serialize)]
struct Unexecuted<'a> {
    errors: &'a [ServerError],
}

/// Faults as a client is told them.
pub fn errors(faults: Vec<Fault>, id: &RequestId) -> Vec<ServerError> {
    let error = |(failure, at): Fault| {
        let mut error = ServerError::new(failure.message.clone(), at);
        error.extensions = Some(extensions_of(&failure));
        error
    };
    let mut errors: Vec<_> = faults.into_iter().map(error).collect();
    complete(&mut errors, id);
    errors
}

/// Adds what every error has: a code, also to what async-graphql says itself, and the request's id.
pub fn complete(errors: &mut Vec<ServerError>, id: &RequestId) {
    errors.truncate(MOST_ERRORS);
    for error in errors {
        // Before the execution it is about the document, within it about a value that a variable brought.
        let code = match error.path.is_empty() {
            true => ErrorCode::GraphqlValidationFailed,
            false => ErrorCode::BadUserInput,
        };
        let without_code = || extensions_of(&Failure::new(code, ""));
        error.extensions.get_or_insert_with(without_code).set("requestId", &*id.0);
    }
}

/// An answer as JSON.
pub fn json(response: &Response) -> String {
    let written = match was_executed(response) {
        true => serde_json::to_string(response),
        false => serde_json::to_string(&Unexecuted { errors: &response.errors }),
    };
    written.expect("an answer can be written as JSON")
}

/// An answer over HTTP.
pub fn http(response: &Response, media_type: MediaType) -> axum::response::Response {
    let status = match (was_executed(response), media_type) {
        (false, MediaType::GraphqlResponse) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    (status, [(header::CONTENT_TYPE, media_type.header())], json(response)).into_response()
}
