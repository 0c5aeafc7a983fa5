//! Reads request bodies within limits of size, pause and total time, until the shutdown begins. Also reads the headers
//! that describe a body.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::jsend;
use crate::app::App;
use crate::error::{ErrorCode, UserError};

/// The delay before a client may retry after a shutdown began: by that time another instance has taken over.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a body was not read completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It exceeds the size limit.
    #[error("The body is too large.")]
    TooLarge,
    /// It paused too long, or took too long in total.
    #[error("The body took too long.")]
    TooSlow,
    /// Its HTTP framing is invalid, or the client disconnected.
    #[error("The body cannot be read to its end.")]
    Incomplete,
    /// The shutdown began before the body was complete.
    #[error("The server is stopping. Send the request again.")]
    Stopping,
}

impl BodyError {
    /// The status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error for a GraphQL client.
    pub fn user_error(self) -> UserError {
        match self {
            Self::Stopping => UserError {
                retry_after: Some(RETRY_AFTER),
                ..UserError::new(ErrorCode::ServiceUnavailable, self.to_string())
            },
            _ => UserError::new(ErrorCode::BadRequest, self.to_string()),
        }
    }
}

/// The response of routes that use JSend.
impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let (status, message) = (self.status(), self.to_string());
        if self != Self::Stopping {
            return jsend::fail(status, &message);
        }
        let mut response = jsend::error(status, "SERVICE_UNAVAILABLE", &message);
        let seconds = HeaderValue::from(RETRY_AFTER.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        response
    }
}

/// The `Content-Type`, or an empty string if it is missing or not text.
pub fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the `Content-Type` is this media type, ignoring parameters.
pub fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    let name = content_type(headers).split(';').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(media_type)
}

/// Whether the body is uncompressed. GraphQL and OAuth reject compressed bodies, as a small one could expand to a large
/// one.
pub fn is_uncompressed(headers: &HeaderMap) -> bool {
    let coding = headers.get(header::CONTENT_ENCODING);
    coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Reads the whole body, up to `max_bytes` and within the configured limits of pause and total time.
pub async fn read(app: &Arc<App>, body: Body, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
    let timeout = app.config.connection_limits.body_timeout;
    let mut chunks = pin!(chunks(app.clone(), body, max_bytes, timeout));
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Streams the chunks of the body as they arrive, up to `max_bytes` and `timeout` in total, with the configured limit of
/// a pause.
pub fn chunks(
    app: Arc<App>,
    body: Body,
    max_bytes: usize,
    timeout: Duration,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    let deadline = app.platform.uptime() + timeout;
    let stream = body.into_data_stream();
    let limited = LimitedBody { app, stream, remaining_bytes: max_bytes, deadline };
    stream::try_unfold(limited, LimitedBody::next_chunk)
}

struct LimitedBody {
    app: Arc<App>,
    stream: BodyDataStream,
    remaining_bytes: usize,
    /// As uptime of the clock.
    deadline: Duration,
}

impl LimitedBody {
    async fn next_chunk(mut self) -> Result<Option<(Bytes, Self)>, BodyError> {
        if HttpBody::size_hint(&self.stream).lower() > self.remaining_bytes as u64 {
            return Err(BodyError::TooLarge);
        }
        let platform = &self.app.platform;
        let remaining_time = self.deadline.saturating_sub(platform.uptime());
        let timeout = self.app.config.connection_limits.body_pause_timeout.min(remaining_time);
        let chunk = tokio::select! {
            // A chunk that has already arrived is accepted even during shutdown.
            biased;
            chunk = self.stream.next() => chunk,
            () = self.app.stopping.cancelled() => return Err(BodyError::Stopping),
            () = platform.clock.sleep_until(platform.now() + timeout) => return Err(BodyError::TooSlow),
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        self.remaining_bytes =
            self.remaining_bytes.checked_sub(chunk.len()).ok_or(BodyError::TooLarge)?;
        Ok(Some((chunk, self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shutdown_asks_clients_to_retry() {
        let status_and_retry = |error: BodyError| {
            let response = error.into_response();
            (response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER))
        };
        assert_eq!(status_and_retry(BodyError::TooSlow), (408, false));
        assert_eq!(status_and_retry(BodyError::TooLarge), (413, false));
        assert_eq!(status_and_retry(BodyError::Incomplete), (400, false));
        assert_eq!(status_and_retry(BodyError::Stopping), (503, true));
    }
}
