//! What the routes for administrators have in common.

use axum::http::HeaderMap;

use super::authentication::authenticate_request;
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
