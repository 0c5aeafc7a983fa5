//! Requester: who sends a request, from where, and the request's id.

use axum::http::request::Parts;

use crate::accounts::Client;
use crate::api::Caller;
use crate::app::App;
use crate::connections::{CallerSecrets, SECRET_HEADER};
use crate::server::authentication::authenticate_request;
use crate::server::client_address::client_info;
use crate::server::request_id::RequestId;

/// Who sends a request, and from where.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The viewer, an anonymous caller, or why the token is rejected.
    pub caller: Caller,
    /// The network address and the user agent.
    pub client: Client,
    /// The secrets of API connections.
    pub secrets: CallerSecrets,
    /// The id of the request, for the log and for errors.
    pub request_id: RequestId,
}

impl Requester {
    /// Authenticates the sender of a request.
    pub async fn authenticate(app: &App, parts: &Parts) -> Self {
        let client = client_info(app, parts);
        let secret = parts.headers.get(SECRET_HEADER).and_then(|secret| secret.to_str().ok());
        Self {
            caller: authenticate_request(app, &parts.headers).await,
            secrets: CallerSecrets::new(client.address, secret),
            client,
            request_id: RequestId::from_extensions(&parts.extensions),
        }
    }
}
