//! JSend: the form of answers of routes that are not GraphQL.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::edge::RequestId;
use crate::api::extensions_of;
use crate::error::{ErrorCode, Failure};

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

/// All is well.
pub fn success(data: Value) -> Response {
    Json(Jsend { status: "success", code: None, message: None, data: Some(data) }).into_response()
}

/// The caller can mend it.
pub fn fail(status: StatusCode, message: &str) -> Response {
    let data = Some(json!({ "message": message }));
    (status, Json(Jsend { status: "fail", code: None, message: None, data })).into_response()
}

/// It is ours to mend.
pub fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = Jsend { status: "error", code: Some(code), message: Some(message), data: None };
    (status, Json(body)).into_response()
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
pub fn internal(path: &str, id: &RequestId) -> Response {
    let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.");
    if path != "/graphql" {
        return error(status, "INTERNAL_SERVER_ERROR", message);
    }
    let mut extensions = extensions_of(&Failure::new(ErrorCode::InternalServerError, message));
    extensions.set("requestId", &*id.0);
    (status, Json(json!({ "errors": [{ "message": message, "extensions": extensions }] })))
        .into_response()
}
