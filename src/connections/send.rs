//! Sends one request to a provider, within the time of its call. A redirect to the same origin is followed for GET and
//! HEAD; any other is the answer.

use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use url::Url;

use super::call::MAX_RESPONSE_BYTES;
use super::request_template::BuiltRequest;
use crate::error::{ErrorCode, UserError};
use crate::platform::Platform;
use crate::platform::outbound::{EgressPolicy, EgressRule, OutboundError, Response};

/// Time for a call, with all its attempts.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);
const MAX_REDIRECTS: u32 = 3;

/// When the time of a call is over.
#[derive(Clone, Copy, Debug)]
pub struct CallDeadline {
    started_at: Duration,
}

impl CallDeadline {
    /// Starts the time of a call.
    pub fn start(platform: &Platform) -> Self {
        Self { started_at: platform.uptime() }
    }

    /// How long the call has taken.
    pub fn elapsed(self, platform: &Platform) -> Duration {
        platform.uptime().saturating_sub(self.started_at)
    }

    /// How much time is left.
    pub fn time_left(self, platform: &Platform) -> Duration {
        CALL_TIMEOUT.saturating_sub(self.elapsed(platform))
    }
}

/// Sends a request and returns the answer, whatever its status.
pub async fn send(
    platform: &Platform,
    request: &BuiltRequest,
    deadline: CallDeadline,
) -> Result<Response, OutboundError> {
    let mut url = request.url.clone();
    let mut followed = 0;
    loop {
        let policy = EgressPolicy {
            destinations: request.destinations.clone(),
            timeout: deadline.time_left(platform),
            max_response_bytes: MAX_RESPONSE_BYTES,
            ..EgressPolicy::default()
        };
        let answer = platform.outbound.call(request.to(url.clone()), &policy).await?;
        let may_follow = [Method::GET, Method::HEAD].contains(&request.method);
        match redirect_target(&url, &answer).filter(|_| may_follow && followed < MAX_REDIRECTS) {
            Some(next) => url = next,
            None => return Ok(answer),
        }
        followed += 1;
    }
}

/// Where an answer redirects to, if that is at the same origin.
fn redirect_target(from: &Url, answer: &Response) -> Option<Url> {
    let is_redirect = matches!(
        answer.status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = answer.headers.get(LOCATION).filter(|_| is_redirect)?.to_str().ok()?;
    let mut next = from.join(location).ok()?;
    next.set_fragment(None);
    let is_allowed =
        next.origin() == from.origin() && next.username().is_empty() && next.password().is_none();
    is_allowed.then_some(next)
}

/// The error of a call that has no answer.
pub fn upstream_error(error: &OutboundError) -> UserError {
    let (code, message) = match error {
        OutboundError::Refused(EgressRule::Address(_)) => (
            ErrorCode::UpstreamUnavailable,
            "The provider's host is in a private network. The operator can allow it by OUTBOUND_ALLOW.",
        ),
        OutboundError::Refused(_) => {
            (ErrorCode::UpstreamUnavailable, "The provider's host is not allowed.")
        }
        OutboundError::NotConnected(_) => {
            (ErrorCode::UpstreamUnavailable, "The provider could not be reached.")
        }
        OutboundError::ConnectionLost(_) => (
            ErrorCode::UpstreamUnavailable,
            "The provider broke off the connection. It may have received the call.",
        ),
        OutboundError::SwitchedProtocols => (
            ErrorCode::UpstreamUnavailable,
            "The provider switched to another protocol. It has received the call.",
        ),
        OutboundError::Timeout => (
            ErrorCode::UpstreamTimeout,
            "The provider did not answer in time. It may have received the call.",
        ),
        OutboundError::TooLarge => (
            ErrorCode::ResponseTooLarge,
            "The provider's answer is longer than 4 MB. Ask for less, or read it by the proxy.",
        ),
    };
    UserError::new(code, message)
}
