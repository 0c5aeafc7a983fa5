//! Reading the body of a request: never more than it may have, never longer than it may take.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::jsend;
use crate::app::App;
use crate::error::{ErrorCode, Failure};

/// When a client may come back to an instance that is stopping: another one has taken its place by then.
const COME_BACK: Duration = Duration::from_secs(1);

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyProblem {
    /// More bytes than it may have.
    #[error("The body is too large.")]
    TooLarge,
    /// It paused for too long, or took too long altogether.
    #[error("The body took too long.")]
    TooSlow,
    /// It is not framed as HTTP frames it, or the client went away.
    #[error("The body cannot be read to its end.")]
    Broken,
    /// The process stops and the body is not there yet.
    #[error("The server is stopping. Send the request again.")]
    Stopping,
}

impl BodyProblem {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// As a GraphQL client is told it.
    pub fn failure(self) -> Failure {
        match self {
            Self::Stopping => Failure {
                retry_after: Some(COME_BACK),
                ..Failure::new(ErrorCode::ServiceUnavailable, self.to_string())
            },
            _ => Failure::new(ErrorCode::BadRequest, self.to_string()),
        }
    }
}

/// As a client is told it where answers are JSend's.
impl IntoResponse for BodyProblem {
    fn into_response(self) -> Response {
        let (status, message) = (self.status(), self.to_string());
        if self != Self::Stopping {
            return jsend::fail(status, &message);
        }
        let mut response = jsend::error(status, "SERVICE_UNAVAILABLE", &message);
        let seconds = HeaderValue::from(COME_BACK.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        response
    }
}

/// What the body is said to be; nothing, when it is not said or cannot be read.
pub fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the body is said to be of this media type.
pub fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let name = content_type(headers).split(';').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case(media_type)
}

/// Whether the body comes as it is. Compressed ones are not taken: a small one could be large.
pub fn is_plain(headers: &HeaderMap) -> bool {
    let coding = headers.get(header::CONTENT_ENCODING);
    coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The whole body, of at most `most` bytes.
///
/// # Errors
/// Why it cannot be had.
pub async fn read(app: &Arc<App>, body: Body, most: usize) -> Result<Vec<u8>, BodyProblem> {
    let mut parts = pin!(parts(app.clone(), body, most, app.config.connections.body));
    let mut whole = Vec::new();
    while let Some(part) = parts.try_next().await? {
        whole.extend_from_slice(&part);
    }
    Ok(whole)
}

/// The body part by part as it comes in, of at most `most` bytes and for at most `total`.
pub fn parts(
    app: Arc<App>,
    body: Body,
    most: usize,
    total: Duration,
) -> impl Stream<Item = Result<Bytes, BodyProblem>> + Send {
    let end = app.platform.uptime() + total;
    let incoming = Incoming { app, stream: body.into_data_stream(), left: most, end };
    stream::try_unfold(incoming, Incoming::next)
}

struct Incoming {
    app: Arc<App>,
    stream: BodyDataStream,
    left: usize,
    /// By the uptime of the clock.
    end: Duration,
}

impl Incoming {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BodyProblem> {
        if HttpBody::size_hint(&self.stream).lower() > self.left as u64 {
            return Err(BodyProblem::TooLarge);
        }
        let platform = &self.app.platform;
        let left = self.end.saturating_sub(platform.uptime());
        let patience = self.app.config.connections.body_pause.min(left);
        let part = tokio::select! {
            // What is there already is taken, even when the process stops.
            biased;
            part = self.stream.next() => part,
            () = self.app.stopping.cancelled() => return Err(BodyProblem::Stopping),
            () = platform.clock.sleep_until(platform.now() + patience) => return Err(BodyProblem::TooSlow),
        };
        let Some(part) = part else { return Ok(None) };
        let part = part.map_err(|_| BodyProblem::Broken)?;
        self.left = self.left.checked_sub(part.len()).ok_or(BodyProblem::TooLarge)?;
        Ok(Some((part, self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_are_no_graphql_tell_it_in_jsend() {
        let answered = |problem: BodyProblem| {
            let response = problem.into_response();
            (response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER))
        };
        assert_eq!(answered(BodyProblem::TooSlow), (408, false));
        assert_eq!(answered(BodyProblem::TooLarge), (413, false));
        assert_eq!(answered(BodyProblem::Broken), (400, false));
        assert_eq!(answered(BodyProblem::Stopping), (503, true));
    }
}
