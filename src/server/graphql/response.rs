//! GraphQL responses: a code on every error, keys in the order of the document, no `data` if nothing was executed.

use async_graphql::{Response, ServerError, Value};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

use super::request::accept::MediaType;
use super::validation::request_error::{MAX_ERRORS, RequestError};
use crate::api::error_extensions;
use crate::error::{ErrorCode, UserError};
use crate::server::request_id::RequestId;

/// A response without `data`: nothing was executed.
#[derive(Serialize)]
pub struct ErrorsOnly<'a> {
    /// The errors.
    pub errors: &'a [ServerError],
}

/// Errors of a request as a client gets them.
pub fn server_errors(errors: Vec<RequestError>, id: &RequestId) -> Vec<ServerError> {
    let to_server_error = |error: RequestError| {
        let extensions = error_extensions(&error.user_error);
        let mut server_error = ServerError::new(error.user_error.message, error.position);
        server_error.extensions = Some(extensions);
        server_error
    };
    let mut errors: Vec<_> = errors.into_iter().map(to_server_error).collect();
    complete_errors(&mut errors, id);
    errors
}

/// Completes the extensions of errors: the request's id, and a code for errors of async-graphql itself.
pub fn complete_errors(errors: &mut Vec<ServerError>, id: &RequestId) {
    errors.truncate(MAX_ERRORS);
    for error in errors {
        // An error of async-graphql without a path is about the document, one with a path about the value of a variable.
        let code = match error.path.is_empty() {
            true => ErrorCode::GraphqlValidationFailed,
            false => ErrorCode::BadUserInput,
        };
        let without_code = || error_extensions(&UserError::new(code, ""));
        error.extensions.get_or_insert_with(without_code).set("requestId", &*id.0);
    }
}

/// Whether an operation ran, as opposed to being rejected by validation.
pub fn was_executed(response: &Response) -> bool {
    response.data != Value::Null || response.errors.iter().any(|error| !error.path.is_empty())
}

/// A response as JSON.
pub fn to_json(response: &Response) -> String {
    let json = match was_executed(response) {
        true => serde_json::to_string(response),
        false => serde_json::to_string(&ErrorsOnly { errors: &response.errors }),
    };
    json.expect("a response can be written as JSON")
}

/// A response over HTTP.
pub fn to_http(response: &Response, media_type: MediaType) -> axum::response::Response {
    let status = match (was_executed(response), media_type) {
        (false, MediaType::GraphqlResponse) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    (status, [(header::CONTENT_TYPE, media_type.header_value())], to_json(response)).into_response()
}
