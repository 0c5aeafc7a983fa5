//! Streams: requests whose bodies are passed on in both directions as they arrive.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;

use super::client::Outbound;
use super::error::OutboundError;
use super::forwarded_headers::{remove_client_set, remove_hop_by_hop};
use super::policy::EgressPolicy;
use super::request::{Body, Request};
use crate::platform::clock::Clock;
use crate::platform::files::Bytes;

/// A response whose body is read as it arrives.
pub struct StreamedResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, without those that concern the connection only.
    pub headers: HeaderMap,
    /// The body as it was sent, still compressed if it is. Ends at its first error. Dropping it ends the request.
    pub body: BoxStream<'static, Result<Bytes, OutboundError>>,
}

impl Outbound {
    /// Sends a request and returns the head of the response. Removes hop-by-hop headers of both.
    pub async fn stream(
        &self,
        mut request: Request,
        policy: &EgressPolicy,
    ) -> Result<StreamedResponse, OutboundError> {
        remove_hop_by_hop(&mut request.headers);
        remove_client_set(&mut request.headers, matches!(request.body, Body::Bytes(_)));
        let mut response = self.receive_head(request, policy).await?;
        let max_bytes = policy.max_response_bytes;
        if response.content_length().is_some_and(|length| length > max_bytes as u64) {
            return Err(OutboundError::TooLarge);
        }
        let mut headers = std::mem::take(response.headers_mut());
        remove_hop_by_hop(&mut headers);
        let status = response.status();
        let (clock, idle_timeout) = (self.clock.clone(), policy.idle_timeout);
        let body = BodyReader { response, clock, idle_timeout, remaining_bytes: max_bytes };
        Ok(StreamedResponse { status, headers, body: body.into_stream() })
    }

    /// Waits for the head. While parts of a streamed request are sent, the time-out begins again.
    async fn receive_head(
        &self,
        mut request: Request,
        policy: &EgressPolicy,
    ) -> Result<reqwest::Response, OutboundError> {
        let progress = Arc::new(Notify::new());
        if let Body::Stream(body) = request.body {
            let progress = progress.clone();
            request.body = Body::Stream(body.inspect(move |_| progress.notify_one()).boxed());
        }
        let mut exchange = pin!(self.exchange(request, policy));
        loop {
            let deadline = self.clock.now() + policy.timeout;
            tokio::select! {
                response = &mut exchange => return response,
                () = progress.notified() => {}
                () = self.clock.sleep_until(deadline) => return Err(OutboundError::Timeout),
            }
        }
    }
}

/// Reads a body within the limits.
struct BodyReader {
    response: reqwest::Response,
    clock: Arc<dyn Clock>,
    idle_timeout: Duration,
    remaining_bytes: usize,
}

impl BodyReader {
    fn into_stream(self) -> BoxStream<'static, Result<Bytes, OutboundError>> {
        let next = async |reader: Option<Self>| {
            let mut reader = reader?;
            match reader.read().await.transpose()? {
                Ok(chunk) => Some((Ok(chunk), Some(reader))),
                // Drops the reader, which closes the connection.
                Err(error) => Some((Err(error), None)),
            }
        };
        stream::unfold(Some(self), next).boxed()
    }

    async fn read(&mut self) -> Result<Option<Bytes>, OutboundError> {
        let deadline = self.clock.now() + self.idle_timeout;
        let chunk = tokio::select! {
            chunk = self.response.chunk() => chunk?,
            () = self.clock.sleep_until(deadline) => return Err(OutboundError::Timeout),
        };
        let length = chunk.as_ref().map_or(0, Bytes::len);
        let remaining = self.remaining_bytes.checked_sub(length);
        self.remaining_bytes = remaining.ok_or(OutboundError::TooLarge)?;
        Ok(chunk)
    }
}
