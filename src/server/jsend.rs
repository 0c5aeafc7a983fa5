//! JSend: the response format of routes other than GraphQL.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::request_id::RequestId;
use crate::api::error_extensions;
use crate::error::{Error, ErrorCode, UserError};

#[derive(Serialize)]
struct Jsend<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// A successful response.
pub fn success(data: Value) -> Response {
    Json(Jsend { status: "success", code: None, message: None, data: Some(data) }).into_response()
}

/// A response to an invalid request.
pub fn fail(status: StatusCode, message: &str) -> Response {
    let data = Some(json!({ "message": message }));
    (status, Json(Jsend { status: "fail", code: None, message: None, data })).into_response()
}

/// A response to an error of the server.
pub fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = Jsend { status: "error", code: Some(code), message: Some(message), data: None };
    (status, Json(body)).into_response()
}

/// The response to a request that failed.
pub fn error_response(failure: &Error) -> Response {
    failure.log();
    let status = match failure.code() {
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::BadUserInput | ErrorCode::PathNotAllowed => StatusCode::BAD_REQUEST,
        // What is wrong is the connection.
        ErrorCode::NeedsReauth | ErrorCode::UnknownProvider | ErrorCode::InvalidCredentialSet => {
            StatusCode::CONFLICT
        }
        ErrorCode::UpstreamUnavailable | ErrorCode::ResponseTooLarge => StatusCode::BAD_GATEWAY,
        ErrorCode::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    user_errors(status, failure.user_errors())
}

/// The response to a request with these errors: all of them if the request is at fault, else the first.
pub fn user_errors(status: StatusCode, errors: &[UserError]) -> Response {
    let described = |error: &UserError| {
        let mut values = json!(error_extensions(error));
        values["message"] = json!(error.message);
        values
    };
    let Some(first) = errors.first() else { return error(status, "INTERNAL_SERVER_ERROR", "") };
    let code = described(first)["code"].as_str().unwrap_or_default().to_owned();
    let mut response = if status.is_server_error() {
        error(status, &code, &first.message)
    } else {
        let errors: Vec<_> = errors.iter().map(described).collect();
        let data = json!({ "message": first.message, "errors": errors });
        let body = Jsend { status: "fail", code: Some(&code), message: None, data: Some(data) };
        (status, Json(body)).into_response()
    };
    if let Some(wait) = first.retry_after {
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// The response for paths without a route.
pub async fn not_found(uri: Uri) -> Response {
    fail(
        StatusCode::NOT_FOUND,
        &format!("There is nothing at {}. The schema is at /graphql.", uri.path()),
    )
}

/// The response for methods that a route does not accept.
pub async fn method_not_allowed() -> Response {
    fail(StatusCode::METHOD_NOT_ALLOWED, "This method is not for this path.")
}

/// The response after a panic. GraphQL clients get a GraphQL error.
pub fn internal_error(path: &str, id: &RequestId) -> Response {
    let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.");
    if path != "/graphql" {
        return error(status, "INTERNAL_SERVER_ERROR", message);
    }
    let mut extensions = error_extensions(&UserError::new(ErrorCode::InternalServerError, message));
    extensions.set("requestId", &*id.0);
    (status, Json(json!({ "errors": [{ "message": message, "extensions": extensions }] })))
        .into_response()
}
