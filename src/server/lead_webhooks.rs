//! Webhooks of lead forms: `/webhooks/meta`, `/webhooks/google-ads` and `/webhooks/leads/{form}`.
//!
//! The status is 200 once the leads are stored, also if their form is unknown or they are there already; 503 if they
//! could not be stored, so that the network sends them again. A webhook whose secret is not set does not exist.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::body;
use super::jsend;
use crate::app::App;
use crate::bonuses::{
    Handshake, WebhookRejection, answer_handshake, receive_google_ads_lead, receive_meta_leads,
    receive_signed_lead,
};

/// Meta sends up to 1,000 changes at once.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The header of Meta's signature, which the signed webhook shares.
const SIGNATURE_HEADER: &str = "x-hub-signature-256";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/webhooks/meta", get(answer_meta).post(receive_meta))
        .route("/webhooks/google-ads", post(receive_google_ads))
        .route("/webhooks/leads/{form}", post(receive_signed))
}

async fn answer_meta(
    State(app): State<Arc<App>>,
    uri: Uri,
    handshake: Result<Query<Handshake>, QueryRejection>,
) -> Response {
    let handshake = handshake.ok().map(|Query(handshake)| handshake);
    match answer_handshake(&app.bonuses, handshake) {
        // Plain text, which no browser runs.
        Ok(challenge) => challenge.into_response(),
        Err(WebhookRejection::Forged) => {
            jsend::fail(StatusCode::FORBIDDEN, "This does not show META_VERIFY_TOKEN.")
        }
        Err(rejection) => rejected(rejection, uri).await,
    }
}

async fn receive_meta(State(app): State<Arc<App>>, request: Request) -> Result<Response, Response> {
    let webhook = Webhook::read(&app, request).await?;
    let (bonuses, platform) = (&app.bonuses, &app.platform);
    let received = receive_meta_leads(bonuses, platform, webhook.signature(), &webhook.body).await;
    Ok(webhook.respond(received).await)
}

async fn receive_google_ads(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Response> {
    let webhook = Webhook::read(&app, request).await?;
    let received = receive_google_ads_lead(&app.bonuses, &app.platform, &webhook.body).await;
    Ok(webhook.respond(received).await)
}

async fn receive_signed(
    State(app): State<Arc<App>>,
    Path(form): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let webhook = Webhook::read(&app, request).await?;
    let (bonuses, platform) = (&app.bonuses, &app.platform);
    let (signature, body) = (webhook.signature(), &webhook.body);
    let received = receive_signed_lead(bonuses, platform, &form, signature, body).await;
    Ok(webhook.respond(received).await)
}

/// A webhook with its raw body.
struct Webhook {
    uri: Uri,
    signature: Option<HeaderValue>,
    body: Vec<u8>,
}

impl Webhook {
    async fn read(app: &Arc<App>, request: Request) -> Result<Self, Response> {
        let (head, body) = request.into_parts();
        let body = body::read(app, body, MAX_BODY_BYTES).await;
        let body = body.map_err(IntoResponse::into_response)?;
        let signature = head.headers.get(SIGNATURE_HEADER).cloned();
        Ok(Self { uri: head.uri, signature, body })
    }

    fn signature(&self) -> Option<&[u8]> {
        self.signature.as_ref().map(HeaderValue::as_bytes)
    }

    async fn respond(self, received: Result<(), WebhookRejection>) -> Response {
        match received {
            Ok(()) => Json(json!({})).into_response(),
            Err(rejection) => rejected(rejection, self.uri).await,
        }
    }
}

async fn rejected(rejection: WebhookRejection, uri: Uri) -> Response {
    match rejection {
        WebhookRejection::NotConfigured => jsend::not_found(uri).await,
        WebhookRejection::Forged => jsend::fail(
            StatusCode::UNAUTHORIZED,
            "This is not signed with, or does not show, the secret of this webhook.",
        ),
        WebhookRejection::Unreadable(problem) => jsend::fail(
            StatusCode::BAD_REQUEST,
            &format!("This is not a lead that can be read: {problem}"),
        ),
        WebhookRejection::Failed(error) => {
            error.log();
            let (status, message) = (StatusCode::SERVICE_UNAVAILABLE, "Send it again later.");
            jsend::error(status, "SERVICE_UNAVAILABLE", message)
        }
    }
}
