//! Request ids (`X-Request-Id`): identify a request in its response and in the log.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Extensions, HeaderName};

use crate::app::App;

/// The header of the request id, in requests and responses.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_REQUEST_ID_LEN: usize = 64;

/// The id of a request.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// The client's own id if it is valid, or a new random one.
    pub fn from_client_or_random(app: &App, request: &Request) -> Self {
        let client_id = request.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok());
        match client_id.filter(|id| is_valid(id)) {
            Some(id) => Self(id.into()),
            None => Self(data_encoding::BASE32_DNSSEC.encode(&app.platform.random::<10>()).into()),
        }
    }

    /// The id that the middleware assigned to a request.
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get::<Self>().expect("every request has an id").clone()
    }
}

fn is_valid(id: &str) -> bool {
    (1..=MAX_REQUEST_ID_LEN).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
