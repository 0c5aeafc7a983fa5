//! Sends a request to the provider of a connection, and returns the head of the answer with a body that arrives later.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::call_record::CallRecord;
use super::headers::headers_from_provider;
use super::request::{BuiltProxyRequest, ProxyRequest, ProxyTemplate};
use super::upload::Upload;
use crate::connections::call::withhold_location;
use crate::connections::find_scheme::{provider_of, scheme_of};
use crate::connections::guard::{Access, authorize_call};
use crate::connections::send::upstream_error;
use crate::connections::state::Connections;
use crate::connections::tokens;
use crate::error::{ErrorCode, Result, UserError};
use crate::platform::Platform;
use crate::platform::files::Bytes;
use crate::platform::outbound::{EgressPolicy, OutboundError, StreamedResponse};

/// Maximum length of a body in bytes, in each direction.
pub const MAX_STREAM_BYTES: usize = 1024 * 1024 * 1024;
/// Maximum time from the request to the end of the answer.
pub const MAX_STREAM_TIME: Duration = Duration::from_hours(1);
/// Maximum time from the last part of the request to the head of the answer.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum time between two parts of the answer.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The answer of a provider.
pub struct ProxyResponse {
    /// The key of the provider.
    pub provider: String,
    /// The status.
    pub status: StatusCode,
    /// The headers, without those of a single hop, cookies, and what would concern this server's origin.
    pub headers: HeaderMap,
    /// The body as the provider sends it. Dropping it ends the request.
    pub body: BoxStream<'static, Result<Bytes, OutboundError>>,
}

/// Passes a request on to the provider of a connection.
///
/// # Errors
/// NOT_FOUND and RATE_LIMITED of the guard; PATH_NOT_ALLOWED; BAD_USER_INPUT at `query`, `headers` and `body`;
/// NEEDS_REAUTH; UNKNOWN_PROVIDER if its entry was removed; UPSTREAM_UNAVAILABLE, UPSTREAM_TIMEOUT and
/// RESPONSE_TOO_LARGE.
pub async fn open_proxy(
    connections: &Arc<Connections>,
    platform: &Arc<Platform>,
    access: &Access,
    request: ProxyRequest,
) -> Result<ProxyResponse> {
    let connection = authorize_call(connections, platform, access).await?;
    let provider = provider_of(connections, &connection)?;
    let scheme = scheme_of(provider, &connection)?;
    let template = ProxyTemplate::parse(provider, scheme, &request)?;
    let mut credentials = tokens::current(connections, platform, &connection).await?;
    let mut built = template.build(connections, provider, scheme, &credentials)?;
    let upload = Upload::new(request.body);
    let mut record = CallRecord::start(
        connections.clone(),
        platform.clone(),
        connection.id,
        request.method,
        request.path,
    );
    let mut answer = send(platform, &built, &upload, &mut record).await?;
    // A body that is still to be read cannot tell of refused credentials, only the status can.
    if provider.is_unauthorized(answer.status, &[]) {
        let renewed =
            tokens::after_unauthorized(connections, platform, &connection, &credentials).await;
        let renewed = renewed.inspect_err(|error| record.error = Some(error.code()))?;
        if let Some(renewed) = renewed.filter(|_| upload.is_unread()) {
            drop(answer);
            credentials = renewed;
            built = template.build(connections, provider, scheme, &credentials)?;
            answer = send(platform, &built, &upload, &mut record).await?;
        }
    }
    let mut headers = headers_from_provider(&answer.headers);
    withhold_location(&mut headers, &built.url, &credentials);
    Ok(ProxyResponse {
        provider: provider.key.clone(),
        status: answer.status,
        headers,
        body: Download { body: answer.body, upload, record }.into_stream(),
    })
}

async fn send(
    platform: &Platform,
    request: &BuiltProxyRequest,
    upload: &Upload,
    record: &mut CallRecord,
) -> Result<StreamedResponse> {
    let policy = EgressPolicy {
        destinations: request.destinations.clone(),
        timeout: HEAD_TIMEOUT,
        max_response_bytes: MAX_STREAM_BYTES,
        idle_timeout: IDLE_TIMEOUT,
        ..EgressPolicy::default()
    };
    record.attempts += 1;
    record.status = None;
    let answer = platform.outbound.stream(request.with_body(upload.to_body()), &policy).await;
    let answer = answer.map_err(|error| {
        let error = stream_error(&error);
        // That is not the provider's fault.
        record.error = (!upload.was_cut()).then_some(error.code);
        error
    })?;
    record.status = Some(answer.status);
    Ok(answer)
}

fn stream_error(error: &OutboundError) -> UserError {
    match error {
        OutboundError::TooLarge => UserError::new(
            ErrorCode::ResponseTooLarge,
            "The provider's answer is longer than 1 GB.",
        ),
        error => upstream_error(error),
    }
}

/// The body of an answer on its way to the caller. The record is written, and the upload ends, when it is dropped.
struct Download {
    body: BoxStream<'static, Result<Bytes, OutboundError>>,
    upload: Upload,
    record: CallRecord,
}

impl Download {
    fn into_stream(self) -> BoxStream<'static, Result<Bytes, OutboundError>> {
        let next = async |download: Option<Self>| {
            let mut download = download?;
            let part = match download.record.elapsed() < MAX_STREAM_TIME {
                true => download.body.next().await?,
                false => Err(OutboundError::Timeout),
            };
            if let Err(error) = &part {
                download.record.error = Some(stream_error(error).code);
                return Some((part, None));
            }
            Some((part, Some(download)))
        };
        stream::unfold(Some(self), next).boxed()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.upload.close();
    }
}
