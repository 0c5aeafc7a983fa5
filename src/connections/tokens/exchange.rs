//! The request to a token endpoint.

use std::time::Duration;

use crate::connections::catalog::{AuthScheme, CredentialKey, CredentialSet, Provider};
use crate::connections::token_exchange::{
    TokenOutcome, TokenRequest, read_token_response, token_request,
};
use crate::error::{ErrorCode, Result, UserError};
use crate::platform::Platform;
use crate::platform::outbound::{AllowedAddress, EgressPolicy, OutboundError};

/// Shorter than a lease, so that no other instance begins meanwhile.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// What came of a token request: the answer, or an error of the way there, which is worth trying again.
pub enum TokenAnswer {
    /// The endpoint answered.
    Answered(TokenOutcome),
    /// It did not.
    Unanswered(UserError),
}

/// Sends a token request.
pub async fn exchange(
    platform: &Platform,
    provider: &Provider,
    request: TokenRequest,
) -> TokenAnswer {
    let policy = EgressPolicy {
        destinations: request.target.destinations,
        timeout: TIMEOUT,
        max_response_bytes: MAX_RESPONSE_BYTES,
        ..EgressPolicy::default()
    };
    match platform.outbound.call(request.request, &policy).await {
        Ok(answer) => TokenAnswer::Answered(read_token_response(
            provider,
            platform.now(),
            (answer.status, &answer.body),
            &request.secrets,
        )),
        Err(error) => TokenAnswer::Unanswered(unanswered(&error)),
    }
}

fn unanswered(error: &OutboundError) -> UserError {
    let (code, message) = match error {
        OutboundError::Timeout => {
            (ErrorCode::UpstreamTimeout, "The token endpoint did not answer in time.")
        }
        OutboundError::Refused(_) => {
            (ErrorCode::UpstreamUnavailable, "The token endpoint's host is not allowed.")
        }
        OutboundError::TooLarge => {
            (ErrorCode::UpstreamUnavailable, "The token endpoint's answer is too long.")
        }
        OutboundError::NotConnected(_)
        | OutboundError::ConnectionLost(_)
        | OutboundError::SwitchedProtocols => {
            (ErrorCode::UpstreamUnavailable, "The token endpoint could not be reached.")
        }
    };
    UserError::new(code, message)
}

/// The error of an endpoint that may work again.
pub fn failed(code: &str) -> UserError {
    let message = format!("The token endpoint answered {code}. Try again.");
    UserError::new(ErrorCode::UpstreamUnavailable, message)
}

/// Fetches the first token of client credentials that are tried before they are stored. Others stay as they are. Returns
/// whether a token was fetched.
///
/// # Errors
/// CONNECTION_REFUSED_BY_PROVIDER at `credentials`; UPSTREAM_UNAVAILABLE and UPSTREAM_TIMEOUT.
pub async fn fetch_first_token(
    platform: &Platform,
    provider: &Provider,
    scheme: AuthScheme,
    credentials: &mut CredentialSet,
    allowed: &[AllowedAddress],
) -> Result<bool> {
    let has_token = credentials.get(CredentialKey::AccessToken).is_some();
    if scheme != AuthScheme::Oauth2ClientCredentials || has_token {
        return Ok(false);
    }
    let refused = |reason: &str| {
        let message = format!("The provider gave no token for the client: {reason}.");
        let error = UserError::new(ErrorCode::ConnectionRefusedByProvider, message);
        error.for_field("credentials")
    };
    let request = token_request(provider, scheme, credentials, allowed);
    let request = request.map_err(|error| refused(&error.to_string()))?;
    match exchange(platform, provider, request).await {
        TokenAnswer::Answered(TokenOutcome::Renewed(tokens)) => {
            credentials.renew(&tokens);
            Ok(true)
        }
        TokenAnswer::Answered(TokenOutcome::Revoked(code) | TokenOutcome::Refused(code)) => {
            Err(refused(&code).into())
        }
        TokenAnswer::Answered(TokenOutcome::Failed(code)) => Err(failed(&code).into()),
        TokenAnswer::Unanswered(error) => Err(error.into()),
    }
}
