//! Tries credentials at their provider before they are stored.

use reqwest::{Method, StatusCode};

use super::catalog::{CredentialSet, Provider, Scheme};
use super::request_template::RequestTemplate;
use super::send::{CallDeadline, send, upstream_error};
use super::state::Connections;
use crate::error::{ErrorCode, Result, UserError};
use crate::platform::Platform;

/// Ensures that the provider accepts these credentials.
///
/// # Errors
/// CONNECTION_REFUSED_BY_PROVIDER at `credentials`; UPSTREAM_UNAVAILABLE and UPSTREAM_TIMEOUT if that cannot be told.
pub async fn ensure_accepted(
    connections: &Connections,
    platform: &Platform,
    provider: &Provider,
    scheme: &Scheme,
    credentials: &CredentialSet,
) -> Result<()> {
    let Some(path) = &provider.verify else { return Ok(()) };
    let template = RequestTemplate::bare(Method::GET, path);
    let allowed = &connections.outbound_allow;
    let request = template.build(provider, scheme, credentials, allowed)?;
    let deadline = CallDeadline::start(platform);
    let answer = send(platform, &request, deadline).await;
    let answer = answer.map_err(|error| upstream_error(&error))?;
    let is_unclear = answer.status.is_server_error()
        || matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if is_unclear {
        let message = format!(
            "The provider answered {} when it was tried. Nothing was stored; try again.",
            answer.status.as_u16()
        );
        return Err(UserError::new(ErrorCode::UpstreamUnavailable, message).into());
    }
    if answer.status.is_success() && !provider.is_unauthorized(answer.status, &answer.body) {
        return Ok(());
    }
    let message = format!(
        "The provider refused the credentials with the status {}. Nothing was stored.",
        answer.status.as_u16()
    );
    let refused = UserError::new(ErrorCode::ConnectionRefusedByProvider, message);
    Err(refused.for_field("credentials").into())
}
