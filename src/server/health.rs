//! Whether it lives, and whether it can serve, in JSend's form.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::problem;
use crate::app::App;

/// The process answers.
pub async fn live() -> Response {
    Json(json!({ "status": "success", "data": null })).into_response()
}

/// The database answers, so requests can be served.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let database = app.platform.database.name();
    match app.platform.database.ping().await {
        Ok(()) => {
            Json(json!({ "status": "success", "data": { "database": database, "degraded": [] } }))
                .into_response()
        }
        Err(error) => {
            tracing::error!("not ready: {}", error.describe());
            problem::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The database is out of reach.",
            )
        }
    }
}
