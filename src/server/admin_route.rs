//! What the routes for administrators have in common.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::authentication::authenticate_request;
use super::jsend;
use crate::app::App;
use crate::error::{Error, ErrorCode, Result};

/// Lets administrators pass.
///
/// # Errors
/// UNAUTHENTICATED; FORBIDDEN.
pub async fn require_admin(app: &App, headers: &HeaderMap) -> Result<()> {
    let viewer = authenticate_request(app, headers).await.viewer()?;
    match viewer.is_admin {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::Forbidden, "This is for administrators.")),
    }
}

/// The response to an error.
pub fn error_response(error: &Error) -> Response {
    let status = match error.code() {
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::BadUserInput => StatusCode::BAD_REQUEST,
        _ => {
            error.log();
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    jsend::user_errors(status, error.user_errors())
}
