//! Answers of routes that are not GraphQL when something is wrong, in JSend's form.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ErrorCode;

/// JSend: the caller can mend it.
pub fn fail(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "status": "fail", "data": { "message": message } }))).into_response()
}

/// JSend: it is ours to mend.
pub fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "status": "error", "code": code, "message": message }))).into_response()
}

/// No route has this path.
pub async fn no_such_page(uri: Uri) -> Response {
    fail(
        StatusCode::NOT_FOUND,
        &format!("There is nothing at {}. The schema is at /graphql.", uri.path()),
    )
}

/// The route takes other methods.
pub async fn method_not_allowed() -> Response {
    fail(StatusCode::METHOD_NOT_ALLOWED, "This method is not for this path.")
}

/// A handler panicked. A GraphQL client is told in its own form.
pub fn internal(path: &str) -> Response {
    let (status, message) =
        (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::InternalServerError.description());
    if path == "/graphql" {
        let extensions =
            json!({ "code": "INTERNAL_SERVER_ERROR", "status": "error", "retryable": false });
        return (
            status,
            Json(json!({ "errors": [{ "message": message, "extensions": extensions }] })),
        )
            .into_response();
    }
    error(status, "INTERNAL_SERVER_ERROR", message)
}
