//! Whether it lives, and whether it can serve, in JSend's form.

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
use crate::platform::events::Link;

/// How long the state of the SMS gateways may take to read.
const SMS_LIMIT: Duration = Duration::from_millis(400);

/// The process answers.
pub async fn live() -> Response {
    jsend::success(Value::Null)
}

/// The database answers and keeps what is written, so requests can be served. What else does not do its work is named.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let database = app.platform.database.name();
    match app.platform.database.ensure_ready().await {
        Ok(()) => {
            let sms = timeout(SMS_LIMIT, sms_waits(&app)).await.unwrap_or(true).then_some("sms");
            let redis = is_cut_off(&app).then_some("redis");
            let degraded: Vec<&str> = sms.into_iter().chain(redis).collect();
            jsend::success(json!({ "database": database, "degraded": degraded }))
        }
        Err(error) => {
            tracing::error!("not ready: {}", error.describe());
            jsend::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                &error.failures()[0].message,
            )
        }
    }
}

/// Whether Redis is out of reach, so that other instances hear late of what is done here, and the reverse.
fn is_cut_off(app: &App) -> bool {
    app.platform.events.link().is_some_and(|link| *link.borrow() != Link::Connected)
}

/// Whether no gateway takes messages, one has to be mended, or what is due does not leave. Why, an operator reads in `messageQueue`.
async fn sms_waits(app: &App) -> bool {
    let states = messages::gateway_states(&app.messages, &app.platform);
    match try_join(states, messages::is_stalled(&app.platform)).await {
        Ok((_, true)) => true,
        Ok((gateways, false)) => {
            let is_stopped = |it: &messages::GatewayState| it.stopped_since.is_some();
            gateways.iter().all(|it| it.trouble.is_some()) || gateways.iter().any(is_stopped)
        }
        Err(error) => {
            error.log();
            true
        }
    }
}
