//! Outbound HTTP: the only HTTP client for calls to other services.
//!
//! It follows no redirects, limits responses in time and size, and sends credentials in headers marked as sensitive.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, redirect};

use super::clock::Clock;

/// The date format of HTTP: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7).
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// The client for calls to other services.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    clock: Arc<dyn Clock>,
}

/// Limits of a response.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time from the first byte sent to the last byte received.
    pub timeout: Duration,
    /// Maximum length of the body in bytes.
    pub max_bytes: usize,
}

/// A response of any status.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, always with a date.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The connection failed, so the service received nothing of the request.
    #[error("not reached: {0}")]
    NotConnected(#[source] reqwest::Error),
    /// The connection was lost. The service may have received the request.
    #[error("broken off: {0}")]
    ConnectionLost(#[source] reqwest::Error),
    /// No response in time.
    #[error("no answer in time")]
    Timeout,
    /// The response exceeds the size limit.
    #[error("the answer is too large")]
    TooLarge,
}

impl Outbound {
    /// Creates a client with its own connection pool.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes a client")]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let builder = || {
            Client::builder()
                .user_agent(concat!("Switchboard/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                // The configuration alone decides where calls go, not an environment variable for a proxy.
                .no_proxy()
                .connect_timeout(Duration::from_secs(10))
                .referer(false)
        };
        let client = builder().build().or_else(|error| {
            // The system has no CA certificates. An installation without HTTPS calls works anyway.
            tracing::warn!(?error, "calls by HTTPS will fail");
            builder().tls_certs_only([]).build()
        });
        let client = client.expect("a TLS backend is built in");
        Self { client, clock }
    }

    /// Builds a request for [`Outbound::send`].
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request and reads the whole response, within the limits.
    pub async fn send(
        &self,
        request: RequestBuilder,
        limits: Limits,
    ) -> Result<Response, OutboundError> {
        let deadline = self.clock.now() + limits.timeout;
        let mut response = tokio::select! {
            response = receive(request, limits.max_bytes) => response?,
            () = self.clock.sleep_until(deadline) => return Err(OutboundError::Timeout),
        };
        // A recipient adds a missing date (RFC 9110, section 6.6.1).
        if let Ok(now) = HeaderValue::try_from(self.clock.now().format(HTTP_DATE).to_string()) {
            response.headers.entry(DATE).or_insert(now);
        }
        Ok(response)
    }
}

async fn receive(request: RequestBuilder, max_bytes: usize) -> Result<Response, OutboundError> {
    let to_error = |error: reqwest::Error| match error.is_connect() {
        true => OutboundError::NotConnected(error.without_url()),
        false => OutboundError::ConnectionLost(error.without_url()),
    };
    let mut response = request.send().await.map_err(to_error)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(to_error)? {
        if body.len() + chunk.len() > max_bytes {
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
