//! Calls: requests whose whole response is read within limits.

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue};

use super::client::Outbound;
use super::error::OutboundError;
use super::policy::EgressPolicy;
use super::request::Request;

/// The date format of HTTP: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// A response of any status.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, always with a date.
    pub headers: HeaderMap,
    /// The whole body, as it was sent.
    pub body: Vec<u8>,
}

impl Outbound {
    /// Sends a request and reads the whole response, within the policy's limits.
    pub async fn call(
        &self,
        request: Request,
        policy: &EgressPolicy,
    ) -> Result<Response, OutboundError> {
        let deadline = self.clock.now() + policy.timeout;
        let mut response = tokio::select! {
            response = self.receive(request, policy) => response?,
            () = self.clock.sleep_until(deadline) => return Err(OutboundError::Timeout),
        };
        // A recipient adds a missing date (RFC 9110, section 6.6.1).
        if let Ok(now) = HeaderValue::try_from(self.clock.now().format(HTTP_DATE).to_string()) {
            response.headers.entry(DATE).or_insert(now);
        }
        Ok(response)
    }

    async fn receive(
        &self,
        request: Request,
        policy: &EgressPolicy,
    ) -> Result<Response, OutboundError> {
        let mut response = self.exchange(request, policy).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if chunk.len() > policy.max_response_bytes - body.len() {
                return Err(OutboundError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }
}
