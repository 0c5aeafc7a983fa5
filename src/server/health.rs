//! Whether it lives, and whether it can serve, in JSend's form.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::jsend;
use crate::app::App;

/// The process answers.
pub async fn live() -> Response {
    jsend::success(Value::Null)
}

/// The database answers, so requests can be served.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let database = app.platform.database.name();
    match app.platform.database.ping().await {
        Ok(()) => jsend::success(json!({ "database": database, "degraded": [] })),
        Err(error) => {
            tracing::error!("not ready: {}", error.describe());
            jsend::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The database is out of reach.",
            )
        }
    }
}
