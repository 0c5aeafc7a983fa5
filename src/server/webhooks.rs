//! What other services call: receipts of SMS gateways.
//!
//! Each is believed by its gateway's own signature alone. The answers are those that gateways expect: 200
//! for what was taken, also when nothing came of it; anything else and they come again.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::body;
use super::jsend;
use crate::app::App;
use crate::messages::{self, Call, Refusal};

/// A receipt has a few hundred bytes.
const MOST_BYTES: usize = 64 * 1024;

/// The webhooks' routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/webhooks/twilio/status", post(|app, call| receipt(app, "twilio", call)))
        .route(
            "/webhooks/messagebird/status",
            get(|app, call| receipt(app, "messagebird", call))
                .post(|app, call| receipt(app, "messagebird", call)),
        )
        .route(
            "/webhooks/sms/http",
            get(|app, call| receipt(app, "http", call))
                .post(|app, call| receipt(app, "http", call)),
        )
}

async fn receipt(State(app): State<Arc<App>>, gateway: &'static str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = match read(&app, body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    // As gateways know us, whatever proxies have made of it.
    let base = app.config.base_url();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let call = Call {
        url: format!("{base}{target}"),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
        now: app.platform.now(),
    };
    match messages::receive(&app.messages, &app.platform, gateway, &call).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(Refusal::Forged) => {
            jsend::fail(StatusCode::UNAUTHORIZED, "This is not signed by the gateway.")
        }
        Err(Refusal::Unreadable) => {
            jsend::fail(StatusCode::BAD_REQUEST, "This is not a receipt that can be read.")
        }
        Err(Refusal::Failed(error)) => {
            error.log();
            let (status, message) = (StatusCode::SERVICE_UNAVAILABLE, "Send it again later.");
            jsend::error(status, "SERVICE_UNAVAILABLE", message)
        }
    }
}

async fn read(app: &Arc<App>, body: Body) -> Result<Vec<u8>, body::BodyProblem> {
    body::read(app, body, MOST_BYTES).await
}
