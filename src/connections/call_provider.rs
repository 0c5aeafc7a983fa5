//! Calls a provider with the credentials of a connection, and returns what it answers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::call::{
    AttemptOutcome, ProviderResponse, RateLimit, ResponseBody, RetryRules, parse_retry_after,
    withhold_location,
};
use super::catalog::{CredentialSet, Provider, Scheme};
use super::entity::mappings::Model as MappingRow;
use super::find_scheme::{provider_of, scheme_of};
use super::guard::{Access, AuthorizedConnection, authorize_call};
use super::mappings::{apply_mapping, find_mapping};
use super::pending_calls::LoggedCall;
use super::request_template::{BuiltRequest, CallInput, RequestTemplate, parse_and_build};
use super::send::{CallDeadline, send, upstream_error};
use super::state::Connections;
use super::tokens;
use crate::error::{Error, ErrorCode, Result, UserError};
use crate::platform::Platform;
use crate::platform::clock::Timestamp;
use crate::platform::outbound::{OutboundError, Response};

/// What came of a call.
#[derive(Debug)]
pub struct CallResult {
    /// The provider's answer.
    pub response: ProviderResponse,
    /// The answer as a mapping makes it, if one was asked for and the status is 2xx.
    pub mapped: Option<Result<Box<RawValue>>>,
    /// How long the call took.
    pub duration: Duration,
    /// How often the request was sent.
    pub attempts: u32,
    /// The rate limit that the provider's headers tell.
    pub rate_limit: Option<RateLimit>,
}

/// Calls the provider of a connection.
///
/// # Errors
/// NOT_FOUND and RATE_LIMITED of the guard; NOT_FOUND at `mapping`; PATH_NOT_ALLOWED; BAD_USER_INPUT in `query`,
/// `headers`, `payload` and at `idempotencyKey`; NEEDS_REAUTH; UNKNOWN_PROVIDER if its entry was removed;
/// UPSTREAM_UNAVAILABLE, UPSTREAM_TIMEOUT and RESPONSE_TOO_LARGE.
pub async fn call_provider(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    access: &Access,
    input: CallInput,
) -> Result<CallResult> {
    let connection = authorize_call(connections, platform, access).await?;
    let provider = provider_of(connections, &connection)?;
    let scheme = scheme_of(provider, &connection)?;
    let mut problems = Vec::new();
    let mapping = match &input.mapping {
        Some(id) => match find_mapping(platform, id).await {
            Err(error) if error.code() == ErrorCode::NotFound => {
                problems.extend(error.user_errors().iter().cloned().map(at_mapping));
                None
            }
            found => Some(found?),
        },
        None => None,
    };
    let credentials = tokens::current(connections, platform, &connection).await?;
    let allowed = &connections.outbound_allow;
    let (template, request) =
        parse_and_build(provider, scheme, &credentials, allowed, &input, problems)?;
    let mut call = CallAttempts {
        connections,
        platform,
        provider,
        scheme,
        rules: RetryRules::new(
            &input.method,
            input.idempotency_key.is_some(),
            provider.knows_idempotency_key,
        ),
        deadline: CallDeadline::start(platform),
        attempts: 0,
    };
    let called_at = platform.now();
    let answer = Box::pin(call.run(&connection, &template, request, &credentials)).await;
    let (attempts, duration) = (call.attempts, call.deadline.elapsed(platform));
    let answer = answer.and_then(|answer| {
        let rate_limit = RateLimit::from_headers(&answer.headers, platform.now());
        let response = ProviderResponse::read(answer.status, &answer.headers, answer.body)?;
        Ok((response, rate_limit))
    });
    connections.pending_calls.push(LoggedCall {
        id: platform.new_id(),
        connection: connection.id,
        called_at,
        method: input.method.to_string(),
        path: input.path,
        status: answer.as_ref().ok().map(|(response, _)| response.status.as_u16()),
        error: answer.as_ref().err().map(Error::code),
        duration_ms: i32::try_from(duration.as_millis()).unwrap_or(i32::MAX),
        attempts,
    });
    let (response, rate_limit) = answer?;
    let mapped = match mapping {
        Some(mapping) if response.status.is_success() => {
            Some(map(connections, platform, mapping, &response.body).await)
        }
        _ => None,
    };
    Ok(CallResult { response, mapped, duration, attempts, rate_limit })
}

fn at_mapping(error: UserError) -> UserError {
    error.for_field("mapping")
}

async fn map(
    connections: &Connections,
    platform: &Platform,
    mapping: MappingRow,
    body: &ResponseBody,
) -> Result<Box<RawValue>> {
    let ResponseBody::Json(json) = body else {
        let error = UserError::new(ErrorCode::InvalidMapping, "The provider's answer is not JSON.");
        return Err(at_mapping(error).into());
    };
    apply_mapping(connections, platform, mapping, json.get().to_owned()).await
}

/// The attempts of one call.
struct CallAttempts<'a> {
    connections: &'a Arc<Connections>,
    platform: &'a Arc<Platform>,
    provider: &'a Provider,
    scheme: &'a Scheme,
    rules: RetryRules,
    deadline: CallDeadline,
    attempts: u32,
}

impl CallAttempts<'_> {
    /// Sends the request, and once more with other credentials if the provider refused these.
    async fn run(
        &mut self,
        connection: &AuthorizedConnection,
        template: &RequestTemplate,
        request: BuiltRequest,
        used: &CredentialSet,
    ) -> Result<Response> {
        let mut answer = self.send_with_retries(&request).await?;
        withhold_location(&mut answer.headers, &request.url, used);
        if !self.provider.is_unauthorized(answer.status, &answer.body) {
            return Ok(answer);
        }
        let (connections, platform) = (self.connections, self.platform);
        let renewed = tokens::after_unauthorized(connections, platform, connection, used).await?;
        let Some(credentials) = renewed else { return Ok(answer) };
        let allowed = &connections.outbound_allow;
        let request = template.build(self.provider, self.scheme, &credentials, allowed)?;
        let mut answer = self.send_with_retries(&request).await?;
        withhold_location(&mut answer.headers, &request.url, &credentials);
        Ok(answer)
    }

    async fn send_with_retries(&mut self, request: &BuiltRequest) -> Result<Response> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.attempts += 1;
            let result = send(self.platform, request, self.deadline).await;
            let outcome = outcome_of(&result, self.platform.now());
            let time_left = self.deadline.time_left(self.platform);
            let jitter =
                f64::from(u32::from_be_bytes(self.platform.random())) / f64::from(u32::MAX);
            match self.rules.wait_before_next(attempts, outcome, time_left, jitter) {
                Some(wait) => self.platform.clock.sleep_until(self.platform.now() + wait).await,
                None => return result.map_err(|error| upstream_error(&error).into()),
            }
        }
    }
}

fn outcome_of(result: &Result<Response, OutboundError>, now: Timestamp) -> AttemptOutcome {
    match result {
        Ok(answer) => AttemptOutcome::Answered {
            status: answer.status,
            retry_after: parse_retry_after(&answer.headers, now),
        },
        Err(OutboundError::NotConnected(_)) => AttemptOutcome::NotConnected,
        Err(OutboundError::ConnectionLost(_)) => AttemptOutcome::ConnectionLost,
        Err(_) => AttemptOutcome::Final,
    }
}
