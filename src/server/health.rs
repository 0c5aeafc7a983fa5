//! Health checks: liveness and readiness.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::try_join;
use serde_json::{Value, json};

use super::jsend;
use crate::app::App;
use crate::messages;
use crate::platform::database::timeout;
use crate::platform::events::RedisLink;

/// The maximum time to read the state of the SMS gateways.
const SMS_CHECK_TIMEOUT: Duration = Duration::from_millis(400);

/// Liveness: the process responds.
pub async fn live() -> Response {
    jsend::success(Value::Null)
}

/// Readiness: the database accepts reads and writes. Other failing dependencies are listed as `degraded`.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let database = app.platform.database.product_name();
    match app.platform.database.ensure_ready().await {
        Ok(()) => {
            let sms = timeout(SMS_CHECK_TIMEOUT, is_sms_degraded(&app))
                .await
                .unwrap_or(true)
                .then_some("sms");
            let redis = is_redis_disconnected(&app).then_some("redis");
            let degraded: Vec<&str> = sms.into_iter().chain(redis).collect();
            jsend::success(json!({ "database": database, "degraded": degraded }))
        }
        Err(error) => {
            tracing::error!("not ready: {}", error.describe());
            jsend::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                &error.user_errors()[0].message,
            )
        }
    }
}

/// Whether Redis is unreachable, so that events between instances are delayed.
fn is_redis_disconnected(app: &App) -> bool {
    app.platform.events.redis_link().is_some_and(|link| *link.borrow() != RedisLink::Connected)
}

/// Whether all gateways fail, one is misconfigured, or due messages are not sent. `messageQueue` shows the reason.
async fn is_sms_degraded(app: &App) -> bool {
    let states = messages::load_gateway_states(&app.messages, &app.platform);
    match try_join(states, messages::is_stalled(&app.platform)).await {
        Ok((_, true)) => true,
        Ok((gateways, false)) => {
            let is_failing = |state: &messages::GatewayState| state.last_error.is_some();
            let is_misconfigured =
                |state: &messages::GatewayState| state.misconfigured_since.is_some();
            gateways.iter().all(is_failing) || gateways.iter().any(is_misconfigured)
        }
        Err(error) => {
            error.log();
            true
        }
    }
}
