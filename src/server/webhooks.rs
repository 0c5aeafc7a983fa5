//! Webhooks: delivery receipts from SMS gateways, authenticated by each gateway's signature or secret.
//!
//! The status is 200 for every authenticated and readable receipt, also if it changes nothing or its message is unknown:
//! a gateway may send a receipt again after any other status.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::body;
use super::jsend;
use crate::app::App;
use crate::messages::{self, ReceiptRejection, WebhookRequest};

/// Valid receipts have a few hundred bytes.
const MAX_RECEIPT_BYTES: usize = 64 * 1024;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/webhooks/twilio/status",
            post(|app, request| receive_receipt(app, "twilio", request)),
        )
        .route(
            "/webhooks/messagebird/status",
            get(|app, request| receive_receipt(app, "messagebird", request))
                .post(|app, request| receive_receipt(app, "messagebird", request)),
        )
        .route(
            "/webhooks/sms/http",
            get(|app, request| receive_receipt(app, "http", request))
                .post(|app, request| receive_receipt(app, "http", request)),
        )
}

async fn receive_receipt(
    State(app): State<Arc<App>>,
    gateway: &'static str,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = match body::read(&app, body, MAX_RECEIPT_BYTES).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    // The public URL, which the gateway signed. A proxy may have rewritten the received one.
    let base_url = app.config.base_url();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let webhook = WebhookRequest {
        url: format!("{base_url}{target}"),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
        now: app.platform.now(),
    };
    match messages::receive_receipt(&app.messages, &app.platform, gateway, &webhook).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(ReceiptRejection::Forged) => {
            jsend::fail(StatusCode::UNAUTHORIZED, "This is not signed by the gateway.")
        }
        Err(ReceiptRejection::Unreadable) => {
            jsend::fail(StatusCode::BAD_REQUEST, "This is not a receipt that can be read.")
        }
        Err(ReceiptRejection::Failed(error)) => {
            error.log();
            let (status, message) = (StatusCode::SERVICE_UNAVAILABLE, "Send it again later.");
            jsend::error(status, "SERVICE_UNAVAILABLE", message)
        }
    }
}
